// Ports: the narrow doors through which memory code sees a model. Tests put a script behind them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace varve {

class Writer {  // text in, text out; backed by the engine at low priority
 public:
  virtual ~Writer() = default;
  // `schema`: a JSON schema that the answer must obey, or empty for free text.
  virtual Result<std::string> write(std::string_view prompt, std::string_view schema, int max_tokens) = 0;
};

class Embedder {
 public:
  virtual ~Embedder() = default;
  virtual std::string_view name() const = 0;  // stored with every vector; another name means re-embedding
  virtual int width() const = 0;
  virtual Result<std::vector<float>> embed(
      std::string_view text) const = 0;  // length 1, or all zero for no signal
};

class Scorer {  // how well each text answers the query, by a model's own likelihood
 public:
  virtual ~Scorer() = default;
  // One score a text, in order; higher is better, comparable within one call only.
  virtual Result<std::vector<float>> score(std::string_view query,
                                           std::span<const std::string_view> texts) = 0;
};

}  // namespace varve
