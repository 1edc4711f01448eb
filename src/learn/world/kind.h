// Kind: one sort of dialogue. An Item is one of them, with what an answer is scored by.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/registry.h"
#include "core/format/json.h"
#include "learn/world/scene.h"

namespace varve::world {

struct Item {
  std::string kind;
  Json messages = Json::array();   // {"role", "content"}; the last one is the answer
  std::string text;                // prose has words instead of messages
  std::string answer;              // see score.h
  std::vector<std::string> wrong;  // values of this scene that the answer must not name
  std::string core, frame;         // of the last question: which sentences of the grammar
  std::string schema;              // memory operations: what the answer must obey
  int max_tokens = 64;

  const std::string& reply() const { return messages.as_array().back()["content"].as_string(); }
};

class Kind {
 public:
  virtual ~Kind() = default;
  virtual Item make(Scene& scene) const = 0;
};

const Registry<Kind>& kinds();
namespace kind {
using Made = Registry<Kind>::Made;

// For kinds that are a function of the scene and a struct of options.
template <class Options>
class Simple : public Kind {
 public:
  using Make = Item (*)(Scene& scene, const Options& options);
  Simple(Make makes, const Options& options) : make_(makes), options_(options) {}
  Item make(Scene& scene) const override { return make_(scene, options_); }

 private:
  const Make make_;
  const Options options_;
};

struct Crowd {
  int low = 0, high = 0;  // how many memories beside those that the question needs
  int more = 0;           // in training, questions beside the first, at most
};
// A kind whose options are "memories=N" or "least=N,most=M", and "more=N".
Made crowded(const Spec& spec, Item (*make)(Scene&, const Crowd&), Crowd usual);
}  // namespace kind

}  // namespace varve::world
