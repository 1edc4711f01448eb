// Former embedders: a home remembers which settings of `embeddings` its vectors were made with, so that they
// are searched until the present one has read every memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/ports.h"
#include "core/io/env.h"

namespace varve {

class FormerEmbedders {
 public:
  // `folder`: of the home. The newest few that are not `present`; none when nothing is remembered.
  FormerEmbedders(Env& env, std::string folder, std::string present);
  const std::vector<std::string>& settings() const { return settings_; }
  // Remembers the present one, and the former while `needed`.
  Status keep(bool needed) const;

 private:
  std::string path() const { return folder_ + "/embeddings.used"; }
  Env& env_;
  std::string folder_, present_;
  std::vector<std::string> settings_;
};

}  // namespace varve
