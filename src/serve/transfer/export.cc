#include "serve/home/show.h"
#include "serve/transfer/import.h"

namespace varve {
namespace {

constexpr int32_t kPage = 500;

Result<std::string> line_of(const CubeStore& cubes, const Principal& who, const CubeHeader& header) {
  Json line = TRY(memory_json(cubes, who, header));
  if (header.version > 1) {
    Json earlier = Json::array();
    for (const CubeHeader& version : TRY(cubes.history(who, header.id))) {
      if (version.version < header.version) earlier.push(TRY(memory_json(cubes, who, version)));
    }
    line.set("earlier", std::move(earlier));
  }
  return line.dump() + "\n";
}

}  // namespace

Result<int64_t> export_lines(Home& home, const Principal& who, CubeFilter filter,
                             const std::function<Status(std::string_view line)>& write) {
  filter.form = Form::plaintext;
  filter.limit = kPage;
  for (int64_t count = 0;;) {
    const auto page = TRY(home.cubes().list(who, filter));
    for (const CubeHeader& header : page) {
      if (header.life == Life::erased) continue;
      auto line = line_of(home.cubes(), who, header);
      if (line.code() == Code::not_found) continue;  // forgotten meanwhile
      TRY(write(TRY(std::move(line))));
      ++count;
    }
    if (page.size() < size_t(kPage)) return count;
    filter.after = page.back().id;
  }
}

}  // namespace varve
