// The type `sketch` (a varlena like bytea whose bytes are checked whenever they come in) and its
// aggregates. An aggregate's state is plain data in the aggregate's memory context: nothing of C++
// lives between two rows, and the server's accounting of memory sees all of it.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>

#include "adapter.h"
#include "upkeep/workflow/executions.h"
#include "upkeep/workflow/sketch.h"

extern "C" {
#include "libpq/pqformat.h"
}

// UPKEEP_PLAIN(sketch_in) { … fcinfo … } defines the C symbol upkeep_sketch_in without conversions.
#define UPKEEP_PLAIN(name)                                                                  \
    static Datum Plain_##name(FunctionCallInfo fcinfo);                                     \
    extern "C" {                                                                            \
    PG_FUNCTION_INFO_V1(upkeep_##name);                                                     \
    PGDLLEXPORT Datum upkeep_##name(PG_FUNCTION_ARGS) {                                     \
        return upkeep::pg::Enter(fcinfo,                                                    \
                                 [](FunctionCallInfo info) { return Plain_##name(info); }); \
    }                                                                                       \
    }                                                                                       \
    static Datum Plain_##name(FunctionCallInfo fcinfo)

namespace {

using upkeep::pg::CallHost;
using upkeep::pg::CallHostVoid;
using upkeep::workflow::Sketch;
using upkeep::workflow::SketchParts;

// --- the type ----------------------------------------------------------------------------------

struct View {
    const char* data;
    size_t size;
};

std::string_view BytesOf(Datum datum) {
    const View view = CallHost([=] {
        struct varlena* plain = PG_DETOAST_DATUM_PACKED(datum);
        return View{VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain)};
    });
    return {view.data, view.size};
}

/// The same bytes, if they are a sketch.
Datum Checked(Datum bytes) {
    Sketch::Decode(BytesOf(bytes)).OrThrow();
    return bytes;
}

Datum BytesDatum(const std::string& bytes) {
    const char* data = bytes.data();
    const size_t size = bytes.size();
    return CallHost([=] { return PointerGetDatum(upkeep::pg::CopyTextDatum(data, size)); });
}

// --- state of an aggregate ---------------------------------------------------------------------

struct State {
    SketchParts parts;
    uint64_t inputs;  // values or sketches added and not taken away again
};

MemoryContext AggregateContext(FunctionCallInfo fcinfo) {
    MemoryContext context = nullptr;
    if (AggCheckCallContext(fcinfo, &context) == 0) {  // raises nothing
        throw upkeep::Error(upkeep::Code::kInvalidArgument,
                            "this function works inside its aggregate only",
                            "call percentile_sketch or merge_sketches");
    }
    return context;
}

State* StateArgument(FunctionCallInfo fcinfo, int argument) {
    return fcinfo->args[argument].isnull
               ? nullptr
               : reinterpret_cast<State*>(DatumGetPointer(fcinfo->args[argument].value));
}

State* NewState(MemoryContext context) {
    return CallHost(
        [=] { return static_cast<State*>(MemoryContextAllocZero(context, sizeof(State))); });
}

void MakeRoom(State* state, MemoryContext context, uint32_t more) {
    SketchParts& parts = state->parts;
    const uint32_t needed = parts.used + more;
    if (needed <= parts.room) {
        return;
    }
    const uint32_t room = std::max({needed, parts.room * 2, uint32_t{8}});
    const size_t size = room * sizeof(upkeep::capture::BucketCount);
    void* old = parts.buckets;
    void* grown = CallHost(
        [=] { return old == nullptr ? MemoryContextAlloc(context, size) : repalloc(old, size); });
    parts.buckets = static_cast<upkeep::capture::BucketCount*>(grown);
    parts.room = room;
}

void Merge(State* state, MemoryContext context, const SketchParts& other) {
    MakeRoom(state, context, other.used);
    if (!MergeInto(&state->parts, other)) {
        throw upkeep::Error(upkeep::Code::kInvalidArgument,
                            "the sketches hold more values than a bigint counts",
                            "these are no sketches of real measurements: look where the bytes "
                            "come from");
    }
}

Datum StateOrNull(FunctionCallInfo fcinfo, State* state) {
    fcinfo->isnull = state == nullptr;
    return PointerGetDatum(state);
}

}  // namespace

UPKEEP_PLAIN(sketch_in) {
    char* text = PG_GETARG_CSTRING(0);
    return Checked(CallHost([=] { return DirectFunctionCall1(byteain, CStringGetDatum(text)); }));
}

UPKEEP_PLAIN(sketch_out) {
    const Datum bytes = fcinfo->args[0].value;
    return CallHost([=] { return DirectFunctionCall1(byteaout, bytes); });
}

UPKEEP_PLAIN(sketch_recv) {
    const Datum message = fcinfo->args[0].value;
    return Checked(CallHost([=] { return DirectFunctionCall1(bytearecv, message); }));
}

UPKEEP_PLAIN(sketch_send) {
    const Datum bytes = fcinfo->args[0].value;
    return CallHost([=] { return DirectFunctionCall1(byteasend, bytes); });
}

UPKEEP_PLAIN(sketch_from_bytea) {
    return Checked(fcinfo->args[0].value);
}

UPKEEP_PLAIN(percentile_sketch_add) {
    State* state = StateArgument(fcinfo, 0);
    if (fcinfo->args[1].isnull) {
        return StateOrNull(fcinfo, state);
    }
    const double microseconds =
        upkeep::workflow::MicrosOfValue(DatumGetFloat8(fcinfo->args[1].value)).OrThrow();
    const MemoryContext context = AggregateContext(fcinfo);
    if (state == nullptr) {
        state = NewState(context);
    }
    MakeRoom(state, context, 1);
    AddTo(&state->parts, microseconds);
    ++state->inputs;
    return StateOrNull(fcinfo, state);
}

UPKEEP_PLAIN(percentile_sketch_remove) {
    State* state = StateArgument(fcinfo, 0);
    if (state != nullptr && !fcinfo->args[1].isnull) {
        TakeFrom(&state->parts,
                 upkeep::workflow::MicrosOfValue(DatumGetFloat8(fcinfo->args[1].value)).OrThrow());
        --state->inputs;
    }
    return StateOrNull(fcinfo, state);
}

UPKEEP_PLAIN(merge_sketches_add) {
    State* state = StateArgument(fcinfo, 0);
    if (fcinfo->args[1].isnull) {
        return StateOrNull(fcinfo, state);
    }
    const MemoryContext context = AggregateContext(fcinfo);
    const Sketch sketch = Sketch::Decode(BytesOf(fcinfo->args[1].value)).OrThrow();
    if (state == nullptr) {
        state = NewState(context);
    }
    Merge(state, context, sketch.parts());
    ++state->inputs;
    return StateOrNull(fcinfo, state);
}

UPKEEP_PLAIN(merge_sketches_remove) {
    State* state = StateArgument(fcinfo, 0);
    if (state != nullptr && !fcinfo->args[1].isnull) {
        const Sketch sketch = Sketch::Decode(BytesOf(fcinfo->args[1].value)).OrThrow();
        UnmergeFrom(&state->parts, sketch.parts());
        --state->inputs;
    }
    return StateOrNull(fcinfo, state);
}

UPKEEP_PLAIN(sketch_state_final) {
    const State* state = StateArgument(fcinfo, 0);
    if (state == nullptr || state->inputs == 0) {
        fcinfo->isnull = true;
        return Datum{0};
    }
    return BytesDatum(Sketch::Encode(state->parts));
}

UPKEEP_PLAIN(sketch_state_combine) {
    const MemoryContext context = AggregateContext(fcinfo);
    State* state = StateArgument(fcinfo, 0);
    const State* other = StateArgument(fcinfo, 1);
    if (other == nullptr) {
        return StateOrNull(fcinfo, state);
    }
    if (state == nullptr) {  // the other one lives in another worker's memory: copy it
        state = NewState(context);
    }
    Merge(state, context, other->parts);
    state->inputs += other->inputs;
    return StateOrNull(fcinfo, state);
}

UPKEEP_PLAIN(sketch_state_serialize) {
    AggregateContext(fcinfo);
    return BytesDatum(Sketch::Encode(StateArgument(fcinfo, 0)->parts));
}

UPKEEP_PLAIN(sketch_state_deserialize) {
    AggregateContext(fcinfo);
    const Sketch sketch = Sketch::Decode(BytesOf(fcinfo->args[0].value)).OrThrow();
    const MemoryContext context = CurrentMemoryContext;  // combined at once, then thrown away
    State* state = NewState(context);
    Merge(state, context, sketch.parts());
    state->inputs = 1;  // a state that was handed on had at least one
    return StateOrNull(fcinfo, state);
}

UPKEEP_SCALAR(sketch_quantile) {
    return upkeep::workflow::SketchQuantile(arguments).OrThrow();
}

UPKEEP_SCALAR(sketch_count) {
    return upkeep::workflow::SketchCount(arguments).OrThrow();
}
