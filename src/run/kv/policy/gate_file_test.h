// A gate's file for tests: numbers from a seed, in the form that `varve learn --recipe gate` writes.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/format/gguf.h"

namespace varve {

struct GateFile {
  int32_t layers = 1, heads = 2, width = 4, near = 2, sinks = 1;
  Hash256 model = {};
  std::string kind = "gate";
  float scale = 1;
  // Its path.
  std::string write() const {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<std::vector<float>> values;
    for (int32_t i = 0; i < layers; ++i) {
      values.emplace_back(size_t(heads) * size_t(width));
      for (float& value : values.back()) value = scale * normal(random);
      values.emplace_back(size_t(heads));
    }
    GgufWriter file;
    file.set("general.type", "adapter").set("adapter.type", kind).set("varve.base_model", model.hex());
    file.set("varve.lesson",
             "{\"gate\":{\"near\":" + std::to_string(near) + ",\"sinks\":" + std::to_string(sinks) + "}}");
    for (int32_t i = 0; i < layers; ++i) {
      const std::string at = "blk." + std::to_string(i) + ".kv_gate.weight.";
      file.add(at + "w", 0, {width, heads}, std::as_bytes(std::span(values[size_t(2 * i)])));
      file.add(at + "b", 0, {heads, 1}, std::as_bytes(std::span(values[size_t(2 * i) + 1])));
    }
    static int count = 0;
    const std::string path =
        testing::TempDir() + "varve_gate_" + std::to_string(getpid()) + "_" + std::to_string(count++);
    CHECK(file.write(posix_env(), path).ok(), "a gate's file");
    return path;
  }
};

}  // namespace varve
