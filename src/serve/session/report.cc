#include "serve/session/answer/plain_answer.h"
#include "serve/session/session.h"

namespace varve {
namespace {

const char* name_of(Finish finish) {
  switch (finish) {
    case Finish::stop: return "stop";
    case Finish::length: return "length";
    case Finish::cancelled: return "cancelled";
    case Finish::failed: return "failed";
  }
  return "failed";
}

Json strings(const std::vector<std::string>& all) {
  Json out = Json::array();
  for (const std::string& one : all) out.push(one);
  return out;
}

Json one_recalled(const Recalled& recalled, bool words) {
  Json parts = Json::object();
  for (const auto& [name, score] : recalled.parts) parts.set(name, double(score));
  Json out = Json::object();
  out.set("id", recalled.header.id.text())
      .set("score", double(recalled.score))
      .set("parts", std::move(parts));
  if (words) out.set("source", source_of(recalled.header)).set("text", recalled.text);
  return out;
}

Json of_captured(const Captured& captured, bool words) {
  const bool exact = captured.tokens > 0 && captured.reused == captured.tokens;
  Json out = Json::object();
  out.set("id", captured.header.id.text()).set("tokens", captured.tokens).set("reused", captured.reused);
  out.set("fidelity", exact ? "exact" : "words");
  if (words) out.set("title", captured.header.title);
  if (!captured.trouble.empty()) out.set("why", captured.trouble);
  return out;
}

Json of_kv(const TurnReport& report) {
  const Usage& usage = report.usage;
  Json out = Json::object();
  out.set("pack", std::string(usage.kv_pack)).set("bytes", usage.kv_bytes);
  out.set("shared_bytes", usage.shared_bytes);
  out.set("tokens_saved", usage.reused_tokens + usage.spliced_tokens - usage.patched_tokens);
  Json pages = Json::object().set("rows", usage.kv.rows).set("packed", usage.kv.packed);
  out.set("pages", pages.set("on_disk", usage.kv.on_disk).set("fetched", usage.kv.fetched));
  if (usage.kv.of > 0) out.set("read_share", double(usage.kv.read) / double(usage.kv.of));
  return out.set("pauses", usage.pauses).set("paused_ms", usage.paused_ms);
}

Json of_spliced(const TurnReport& report) {
  Json out = Json::array();
  for (const Spliced& one : report.spliced) {
    Json each = Json::object();
    each.set("id", one.cube.text()).set("fidelity", std::string(to_string(one.fidelity)));
    out.push(each.set("tokens", one.tokens));
  }
  return out;
}

}  // namespace

Json subtasks_json(const Usage& usage) {
  Json out = Json::object().set("finished", usage.subtasks);
  return out.set("pruned_tokens", usage.pruned_tokens).set("read_again", usage.reread_tokens);
}

Json to_json(const TurnReport& report, bool words) {
  Json recalled = Json::array(), stages = Json::object();
  for (const Recalled& one : report.recalled) recalled.push(one_recalled(one, words));
  for (const auto& [name, ms] : report.stage_ms) stages.set(name, ms);
  Json out = Json::object();
  if (words) out.set("answer", report.answer);
  if (words && !report.counted.empty()) out.set("counted", report.counted);
  out.set("turn", report.turn).set("finish", name_of(report.finish));
  out.set("prompt_tokens", report.usage.prompt_tokens).set("reused_tokens", report.usage.reused_tokens);
  out.set("restored_tokens", report.usage.restored_tokens);
  if (const KvCounts& kv = report.usage.kv; kv.dropped + kv.merged > 0) {
    Json counts = Json::object();
    counts.set("kept", kv.kept).set("dropped", kv.dropped).set("merged", kv.merged);
    out.set("kv_entries", std::move(counts));
  }
  if (report.parts > 0)
    out.set("excerpt", Json::object().set("parts_read", report.parts_read).set("parts", report.parts));
  if (report.usage.subtasks > 0) out.set("subtasks", subtasks_json(report.usage));
  if (report.captured) out.set("activation", of_captured(*report.captured, words));
  if (!report.spliced.empty()) out.set("spliced", of_spliced(report));
  if (report.usage.kv_bytes > 0) out.set("kv", of_kv(report));
  out.set("generated_tokens", report.usage.generated_tokens);
  out.set("turns_left_out", report.turns_left_out).set("peak_bytes", report.peak_bytes);
  out.set("stage_ms", std::move(stages)).set("recalled", std::move(recalled));
  out.set("stored", strings(report.stored)).set("troubles", strings(report.troubles));
  return out;
}

}  // namespace varve
