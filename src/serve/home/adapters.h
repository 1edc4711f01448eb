// AdapterShelf: the adapters that requests ask for, opened once, several of a request as one. What nobody
// uses is given back when the ledger asks. Who asks must be able to read the cube, each time.
#pragma once

#include <map>
#include <mutex>

#include "memory/parametric/adapter_cube.h"
#include "memory/parametric/stored_adapter.h"

namespace varve {

struct AdapterChoice {
  std::string name;  // of a cube, its id, or a file
  float strength = 1;
};
// "mine", "mine:0.5", and several of them between commas.
Result<std::vector<AdapterChoice>> parse_adapters(std::string_view text);
// A path rather than the name of a cube: nobody but who runs the program may say one.
bool is_adapter_file(const std::string& name);

class AdapterShelf : public Shrinker {
 public:
  AdapterShelf(Env& env, const CubeStore& cubes, std::shared_ptr<const Model> model, Ledger& ledger);
  ~AdapterShelf() override;
  // Null for none. not_found, denied, invalid: the first that cannot be attached, in a sentence.
  Result<std::shared_ptr<const Adapter>> get(const Principal& who, std::span<const AdapterChoice> choices,
                                             bool files);
  void clear();  // what is in use lives on until its request ends
  void shrink(int64_t bytes) override;

 private:
  using Key = std::vector<std::pair<std::string, float>>;  // one: opened; several, or weakened: mixed
  Result<std::shared_ptr<const Adapter>> one(const Principal& who, const std::string& name, bool files,
                                             std::string& key);
  std::shared_ptr<const Adapter> find(const Key& key);
  std::shared_ptr<const Adapter> keep(const Key& key, std::shared_ptr<const Adapter> made);

  Env& env_;
  const CubeStore& cubes_;
  const std::shared_ptr<const Model> model_;
  Ledger& ledger_;
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Adapter>> kept_;
};

}  // namespace varve
