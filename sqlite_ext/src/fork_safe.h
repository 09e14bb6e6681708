// A child of fork() has one thread: a mutex that another thread of the parent held just then would
// stay locked in the child for ever. So a fork waits for each of ours, for as long as a look at a
// list takes. Nobody holds two of them at a time, so their order does not matter; but for the
// flusher's (flusher.cpp), which is held over the others and so is watched last and taken first.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <pthread.h>

#include <mutex>

namespace upkeep::sqlite {

/// `TheMutex` names a mutex of the whole process. To be called before it is locked first.
template <std::mutex& (*TheMutex)()>
void KeepUnlockedInChildren() {
    static const int watched = pthread_atfork(
        [] { TheMutex().lock(); }, [] { TheMutex().unlock(); }, [] { TheMutex().unlock(); });
    static_cast<void>(watched);
}

}  // namespace upkeep::sqlite
