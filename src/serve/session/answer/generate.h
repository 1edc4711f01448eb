// Generate: a request to the engine as text. Tokens become whole characters; stop strings are found in the
// text, and what could be the beginning of one is held back until that is decided.
#pragma once

#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "run/engine/engine.h"

namespace varve {

struct Piece {
  std::string_view text;            // whole characters
  std::span<const Sampled> tokens;  // drawn since the piece before
};
using OnPiece = std::function<bool(const Piece&)>;  // false ends the answer

// Asks a running answer to end, from any thread. One answer at a time.
class Interrupt {
 public:
  void raise();
  void clear();
  bool raised() const;
  void on_raise(std::function<void()> act);  // null: none. Acts at once when raised already.

 private:
  mutable std::mutex mutex_;
  bool raised_ = false;
  std::function<void()> act_;
};

struct Generation {
  std::string text;
  std::vector<Sampled> sampled;
  Finish finish = Finish::stop;  // cancelled: interrupted, or on_piece said so
  Usage usage;
};

// Waits until the answer is whole. The model must have a tokenizer.
Result<Generation> generate(Engine& engine, Request request, std::vector<std::string> stop,
                            const OnPiece& on_piece, Interrupt& interrupt);

}  // namespace varve
