// Adapters as cubes: form parametric, kind "adapter", the title is the name by which users call it, the
// payload is its GGUF file. Rights, versions and provenance are those of every cube.
#pragma once

#include "memory/cube/cube_store.h"
#include "memory/parametric/adapter_file.h"

namespace varve {

inline constexpr std::string_view kAdapterKind = "adapter";

struct AdapterCube {  // what goes with the file
  std::string name;   // 1-64 of [a-z0-9_.-]
  std::string space;  // empty: the principal's own
  std::string origin;
  std::string why;
  std::vector<Source> from;  // cubes that it learnt from
};

// All that `who` may read and use, newest first.
Result<std::vector<CubeHeader>> list_adapters(const CubeStore& cubes, const Principal& who);
// By name, or by id. not_found; conflict when several have the name: the own space wins, else ids must tell.
Result<CubeHeader> find_adapter(const CubeStore& cubes, const Principal& who, const std::string& name);
// A new cube, or a new version of the one of that name in its space. One that learnt from something erased
// since is erased when its successor is there. What the note says of the lesson is kept as labels, too.
Result<CubeHeader> keep_adapter(CubeStore& cubes, const Principal& who, const AdapterFile& file,
                                AdapterCube cube, Ledger& ledger);
Result<AdapterFile> load_adapter(const CubeStore& cubes, const Principal& who, const CubeHeader& header,
                                 Ledger& ledger);

}  // namespace varve
