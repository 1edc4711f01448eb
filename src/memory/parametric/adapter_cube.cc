#include "memory/parametric/adapter_cube.h"

#include <algorithm>

namespace varve {
namespace {

Result<std::vector<CubeHeader>> adapters_of(const CubeStore& cubes, const Principal& who,
                                            std::optional<Life> life) {
  std::vector<CubeHeader> all;
  CubeFilter filter{.kind = std::string(kAdapterKind), .form = Form::parametric, .life = life, .limit = 1000};
  for (;;) {
    const std::vector<CubeHeader> page = TRY(cubes.list(who, filter));
    all.insert(all.end(), page.begin(), page.end());
    if (page.size() < size_t(filter.limit)) break;
    filter.after = page.back().id;
  }
  std::reverse(all.begin(), all.end());
  return all;
}

Status check_use(const CubeHeader& header) {
  const std::string name = "the adapter '" + header.title + "'";
  if (header.kind != kAdapterKind || header.form != Form::parametric)
    return Status(Code::invalid, "cube " + header.id.text() + " is no adapter");
  if (header.relearn) {
    return Status(Code::denied, name + " learnt from something that was erased since: learn it again");
  }
  if (header.life == Life::active) return {};
  return Status(Code::denied, name + " is " + std::string(to_string(header.life)));
}

// What fits: the plan and the figures; which files there were stands in the payload.
std::string labels_of(const AdapterNote& note) {
  Json labels = Json::object();
  labels.set("kind", note.kind).set("base", note.base);
  if (note.lesson.is_object()) {
    for (const auto& [key, value] : note.lesson.as_object()) {
      if (key != "feed") labels.set(key, value);
    }
  }
  std::string text = labels.dump();
  return text.size() <= kMaxLabelBytes ? text : Json::object().set("kind", note.kind).dump();
}

}  // namespace

Result<std::vector<CubeHeader>> list_adapters(const CubeStore& cubes, const Principal& who) {
  std::vector<CubeHeader> all = TRY(adapters_of(cubes, who, Life::active));
  std::erase_if(all, [](const CubeHeader& one) { return one.relearn; });
  return all;
}

Result<CubeHeader> find_adapter(const CubeStore& cubes, const Principal& who, const std::string& name) {
  if (const auto id = CubeId::parse(name); id.ok()) {
    CubeHeader header = TRY(cubes.head(who, *id));
    TRY(check_use(header));
    return header;
  }
  const auto found_in = [&](const std::vector<CubeHeader>& all, bool own) {
    std::vector<CubeHeader> found;
    for (const CubeHeader& one : all) {
      if (one.title == name && (!own || one.space == who.name)) found.push_back(one);
    }
    return found;
  };
  std::vector<CubeHeader> all = TRY(adapters_of(cubes, who, std::nullopt));
  std::erase_if(all, [](const CubeHeader& one) { return one.life == Life::erased; });
  std::stable_partition(all.begin(), all.end(), [](const auto& one) { return one.life == Life::active; });
  std::vector<CubeHeader> found = found_in(all, true);
  if (found.empty()) found = found_in(all, false);
  if (found.empty()) {
    return Status(Code::not_found, "there is no adapter named '" + name + "'; 'varve cube list --kind " +
                                       std::string(kAdapterKind) + "' shows them");
  }
  if (found.size() > 1 && found[1].life == Life::active) {
    return Status(Code::conflict, std::to_string(found.size()) + " adapters are named '" + name +
                                      "': say which by its id, as " + found[0].id.text());
  }
  TRY(check_use(found[0]));
  return found[0];
}

Result<CubeHeader> keep_adapter(CubeStore& cubes, const Principal& who, const AdapterFile& file,
                                AdapterCube cube, Ledger& ledger) {
  TRY(check_name("an adapter's name", cube.name));
  if (!file.note.fingerprint) return Status(Code::invalid, "the adapter does not say which model it is for");
  int64_t bytes = 1 << 20;
  for (const AdapterTensor& one : file.tensors) bytes += int64_t(one.values.size_bytes()) + 1024;
  const Reservation booked = TRY(ledger.reserve(Tag::io, 2 * bytes).with("storing the adapter"));
  CubeDraft draft;
  draft.header.form = Form::parametric, draft.header.kind = kAdapterKind;
  draft.header.title = cube.name, draft.header.origin = std::move(cube.origin);
  draft.header.space = cube.space.empty() ? who.name : cube.space;
  draft.header.labels = labels_of(file.note);
  draft.header.from = std::move(cube.from), draft.header.why = cube.why;
  draft.header.model = file.note.fingerprint;
  {
    const std::vector<std::byte> payload = TRY(encode_adapter(file));
    draft.payload.assign(reinterpret_cast<const char*>(payload.data()), payload.size());
  }
  std::vector<CubeHeader> named = TRY(adapters_of(cubes, who, std::nullopt));
  std::erase_if(named, [&](const CubeHeader& one) {
    return one.title != cube.name || one.space != draft.header.space || one.life == Life::erased;
  });
  for (const CubeHeader& one : named) {
    if (one.life != Life::active) continue;
    TRY(cubes.revise(who, one.id, 0, std::move(draft), cube.why));
    return cubes.head(who, one.id);
  }
  const CubeId id = TRY(cubes.put(who, std::move(draft)));
  for (const CubeHeader& one : named) {
    if (one.relearn) TRY(cubes.erase(who, one.id, "learnt again without what was erased").status());
  }
  return cubes.head(who, id);
}

Result<AdapterFile> load_adapter(const CubeStore& cubes, const Principal& who, const CubeHeader& header,
                                 Ledger& ledger) {
  const Reservation booked = TRY(ledger.reserve(Tag::io, header.payload_bytes).with("loading an adapter"));
  const std::string payload = TRY(cubes.payload(who, header.id, header.version));
  return parse_adapter(std::as_bytes(std::span(payload)), "the adapter '" + header.title + "'", ledger);
}

}  // namespace varve
