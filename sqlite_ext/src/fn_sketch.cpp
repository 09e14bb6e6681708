// Sketches: aggregates over any table, and what is read from their blobs.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "fn_workflow_stats.h"
#include "upkeep/workflow/executions.h"
#include "upkeep/workflow/sketch.h"

namespace upkeep::sqlite {

namespace {

using workflow::Sketch;

/// What both aggregates share: a sketch, and how much is in it now (0: the result is NULL).
class SketchAggregate : public Aggregate {
  public:
    Value Result() const override {
        if (inputs_ == 0) {
            return {};
        }
        return Bytes{sketch_.Encode()};
    }

  protected:
    Sketch sketch_;
    int64_t inputs_ = 0;
};

class PercentileSketch final : public SketchAggregate {
  public:
    void Add(const Value& value) override {
        if (!IsNull(value)) {
            sketch_.Add(Micros(value));
            ++inputs_;
        }
    }
    void Remove(const Value& value) override {
        if (!IsNull(value)) {
            sketch_.Remove(Micros(value));
            --inputs_;
        }
    }

  private:
    static double Micros(const Value& value) {
        return workflow::MicrosOfValue(std::get<double>(value)).OrThrow();
    }
};

class MergeSketches final : public SketchAggregate {
  public:
    void Add(const Value& value) override {
        if (!IsNull(value)) {
            sketch_.Merge(Decoded(value));
            ++inputs_;
        }
    }
    void Remove(const Value& value) override {
        if (!IsNull(value)) {
            sketch_.Subtract(Decoded(value)).OrThrow();
            --inputs_;
        }
    }

  private:
    static Sketch Decoded(const Value& value) {
        return Sketch::Decode(std::get<Bytes>(value).data).OrThrow();
    }
};

}  // namespace

std::unique_ptr<Aggregate> MakePercentileSketch() {
    return std::make_unique<PercentileSketch>();
}

std::unique_ptr<Aggregate> MakeMergeSketches() {
    return std::make_unique<MergeSketches>();
}

Result<Value> SketchQuantileCall(sqlite3*, const Arguments& arguments) {
    return workflow::SketchQuantile(arguments);
}

Result<Value> SketchCountCall(sqlite3*, const Arguments& arguments) {
    return workflow::SketchCount(arguments);
}

}  // namespace upkeep::sqlite
