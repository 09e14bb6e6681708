// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>

extern long live_objects;

struct Counted {
    Counted() { ++live_objects; }
    Counted(const Counted&) { ++live_objects; }
    ~Counted() { --live_objects; }
    std::unique_ptr<char[]> ballast{new char[1024]};
};

struct Port {
    virtual ~Port() = default;
    virtual int Step(int i) = 0;
};

int CoreWork(Port& port);
