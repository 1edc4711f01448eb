#include "serve/home/show.h"
#include "serve/transfer/import.h"

namespace varve {
namespace {

constexpr int32_t kPage = 500;

// JSON may hold the controls behind ASCII as they are; a terminal would obey them.
std::string without_controls(std::string_view line) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < line.size(); ++i) {
    const bool c1 = line[i] == '\xC2' && i + 1 < line.size() && uint8_t(line[i + 1]) < 0xA0;
    const auto code = uint8_t(line[c1 ? ++i : i]);
    if (c1 || code == 0x7F) {
      out.append("\\u00").append({digits[code >> 4], digits[code & 15]});
    } else {
      out += line[i];
    }
  }
  return out;
}

Result<std::string> line_of(const CubeStore& cubes, const Principal& who, const CubeHeader& header) {
  Json line = TRY(memory_json(cubes, who, header));
  if (header.version > 1) {
    Json earlier = Json::array();
    for (const CubeHeader& version : TRY(cubes.history(who, header.id))) {
      if (version.version < header.version) earlier.push(TRY(memory_json(cubes, who, version)));
    }
    line.set("earlier", std::move(earlier));
  }
  return without_controls(line.dump()) + "\n";
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
