#include "memory/reflect/derive.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/base/hash.h"
#include "memory/recall/present.h"
#include "memory/recall/query/terms.h"
#include "memory/reflect/ask.h"

namespace varve {
namespace {

constexpr int32_t kPool = 50;  // hits among which the nearest of a kind are sought
constexpr size_t kHashWidth = 256;

CubeHeader header_at(const Turn& turn) {
  CubeHeader h;
  h.space = turn.space;
  h.session = turn.session;
  h.turn = turn.index;
  h.event = turn.time;
  h.trust = Trust::model;
  return h;
}

std::string why_of(const Turn& turn, std::string_view kind) {
  return std::string(kind.substr(0, kind.find('.'))) + ": from turn " + std::to_string(turn.index) +
         " of session " + turn.session;
}

void normalise(std::vector<float>& vector) {
  double sum = 0;
  for (const float value : vector) sum += double(value) * value;
  if (sum <= 0) return;
  for (float& value : vector) value = float(value / std::sqrt(sum));
}

}  // namespace

std::vector<Source> evidence_of(const Turn& turn) {
  std::vector<Source> from;
  if (turn.user_cube) from.push_back({*turn.user_cube, 1});
  if (turn.assistant_cube) from.push_back({*turn.assistant_cube, 1});
  return from;
}

std::string words_of(const Turn& turn, size_t bytes) {
  const std::string user = trimmed(strip_recalled(turn.user));
  const std::string assistant = trimmed(strip_recalled(turn.assistant));
  std::string words;
  if (!user.empty()) words = turn.speaker + ": " + clipped(user, bytes / 2);
  if (!assistant.empty())
    words += (words.empty() ? "assistant: " : "\nassistant: ") + clipped(assistant, bytes / 2);
  return words;
}

Json exchange_of(const Turn& turn, size_t bytes) {
  Json exchange = Json::object().set("date", format_time(turn.time).substr(0, 10));
  const std::string assistant = clipped(trimmed(strip_recalled(turn.assistant)), bytes / 2);
  exchange.set("speaker", turn.speaker).set("said", clipped(trimmed(strip_recalled(turn.user)), bytes / 2));
  if (!assistant.empty()) exchange.set("assistant", assistant);
  return exchange;
}

MemoryOp derived(const Turn& turn, std::string_view kind, std::string text, std::string_view key) {
  MemoryOp op;
  op.draft.header = header_at(turn);
  op.draft.header.kind = kind;
  op.draft.header.origin = std::string(kind) + (key.empty() ? "" : "/" + std::string(key));
  op.draft.header.from = evidence_of(turn);
  op.draft.payload = std::move(text);
  op.why = why_of(turn, kind);
  return op;
}

MemoryOp revised(const Turn& turn, const CubeHeader& old, std::string text) {
  MemoryOp op = derived(turn, old.kind, std::move(text));
  op.kind = MemoryOp::Kind::revise;
  op.target = old.id;
  op.base_version = old.version;
  op.draft.header.title = old.title;
  op.draft.header.origin = old.origin;
  op.draft.header.session = old.session;
  op.draft.header.trust = std::min(old.trust, Trust::model);
  return op;
}

MemoryOp link(const Turn& turn, std::string_view kind, int32_t a, CubeId b) {
  MemoryOp op = derived(turn, kind, "");
  op.draft.header.from = {{b, 0}};
  op.from_ops = {a};
  return op;
}

MemoryOp archived(CubeId id, std::string why) {
  MemoryOp op;
  op.kind = MemoryOp::Kind::archive;
  op.target = id;
  op.why = std::move(why);
  return op;
}

Result<std::vector<Unit>> nearest(const Principal& who, const Turn& turn, const Known& known,
                                  std::string_view text, std::string_view kind, size_t k) {
  const std::vector<float> wanted = TRY(signature(text, known.embedder));
  RecallQuery query;
  query.text = clipped(text, 2000);
  query.space = turn.space;
  query.kinds = {std::string(kind)};
  query.limit = kPool;
  std::vector<Unit> units;
  for (Recalled& one : TRY(known.recall.gather(who, query))) {
    if (one.header.kind != kind || one.header.space != turn.space) continue;
    const double likeness = cosine(wanted, TRY(signature(one.text, known.embedder)));
    units.push_back({std::move(one.header), std::move(one.text), likeness});
  }
  std::stable_sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) {
    return a.likeness != b.likeness ? a.likeness > b.likeness : a.header.id < b.header.id;
  });
  if (units.size() > k) units.resize(k);
  return units;
}

Result<std::vector<CubeHeader>> all_of(const Principal& who, const Turn& turn, const Known& known,
                                       std::string_view origin, std::string_view session) {
  std::vector<CubeHeader> all;
  CubeFilter filter;
  filter.space = turn.space;
  filter.origin = origin;
  filter.session = session;
  filter.limit = 1000;
  for (;;) {
    std::vector<CubeHeader> page = TRY(known.cubes.list(who, filter));
    const bool last = page.size() < size_t(filter.limit);
    if (!page.empty()) filter.after = page.back().id;
    std::move(page.begin(), page.end(), std::back_inserter(all));
    if (last) return all;
  }
}

Result<std::optional<Unit>> newest_of(const Principal& who, const Turn& turn, const Known& known,
                                      std::string_view origin, std::string_view session) {
  const std::vector<CubeHeader> all = TRY(all_of(who, turn, known, origin, session));
  if (all.empty()) return std::optional<Unit>();
  std::string text = TRY(known.cubes.payload(who, all.back().id));
  return std::optional<Unit>(Unit{all.back(), std::move(text)});
}

Result<std::vector<float>> signature(std::string_view text, const Embedder* embedder) {
  if (embedder != nullptr) return embedder->embed(text);
  std::vector<float> vector(kHashWidth);
  std::map<std::string, int> counts;
  for (std::string& term : terms_of(text)) ++counts[std::move(term)];
  for (const auto& [term, count] : counts) {
    const uint32_t hash = crc32c(std::as_bytes(std::span(term)));
    vector[hash % kHashWidth] += float(hash >> 31 ? 1 : -1) * std::sqrt(float(count));
  }
  normalise(vector);
  return vector;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += double(a[i]) * b[i];
  return sum;
}

std::vector<std::string> key_words(std::string_view text, size_t most) {
  std::map<std::string, int> counts;
  for (std::string& word : terms_of(text, {.stem = false, .stop = true})) {
    const bool speaker = word == "user" || word == "assistant";
    if (!speaker && word.size() >= 3 && !(word[0] >= '0' && word[0] <= '9')) ++counts[std::move(word)];
  }
  std::vector<std::pair<std::string, int>> ranked(counts.begin(), counts.end());
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first.size() > b.first.size();
  });
  std::vector<std::string> words;
  for (auto& [word, count] : ranked) {
    if (words.size() < most) words.push_back(word);
  }
  return words;
}

std::vector<std::string> sentences(std::string_view text) {
  std::vector<std::string> all;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool stop = (c == '.' || c == '!' || c == '?') && (i + 1 == text.size() || text[i + 1] == ' ');
    if (c != '\n' && !stop && i + 1 != text.size()) continue;
    std::string one = trimmed(text.substr(begin, i + 1 - begin));
    if (!one.empty()) all.push_back(std::move(one));
    begin = i + 1;
  }
  return all;
}

std::string digest(const std::vector<std::string>& all, size_t bytes) {
  std::map<std::string, int> counts;
  std::vector<std::set<std::string>> terms;
  for (const std::string& one : all) {
    auto found = terms_of(one);
    terms.emplace_back(found.begin(), found.end());
    for (const std::string& term : terms.back()) ++counts[term];
  }
  std::vector<std::pair<double, size_t>> ranked;
  for (size_t i = 0; i < all.size(); ++i) {
    double score = 0;
    for (const std::string& term : terms[i]) score += std::log(1.0 + counts[term]);
    if (all[i].back() == '?') score /= 2;  // a question says little
    ranked.emplace_back(-score / std::sqrt(double(terms[i].size()) + 4), i);
  }
  std::sort(ranked.begin(), ranked.end());
  std::set<size_t> kept;
  size_t used = 0;
  for (const auto& [score, i] : ranked) {
    const bool again =
        std::find(all.begin(), all.begin() + ptrdiff_t(i), all[i]) != all.begin() + ptrdiff_t(i);
    if (terms[i].empty() || again || used + all[i].size() + 1 > bytes) continue;
    used += all[i].size() + 1;
    kept.insert(i);
  }
  std::string text;
  for (const size_t i : kept) text += (text.empty() ? "" : "\n") + all[i];
  return text;
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : between).append(word);
  return text;
}

std::string clipped(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && (uint8_t(text[bytes]) & 0xC0) == 0x80) --bytes;
  return std::string(text.substr(0, bytes));
}

std::string line_after(std::string_view text, std::string_view label) {
  const std::string mark = std::string(label) + ": ";
  size_t at = text.substr(0, mark.size()) == mark ? 0 : text.find("\n" + mark);
  if (at == text.npos) return {};
  at += mark.size() + (text[at] == '\n');
  return std::string(text.substr(at, text.find('\n', at) - at));
}

std::vector<std::string> words_after(std::string_view text, std::string_view label) {
  std::vector<std::string> words;
  const std::string line = line_after(text, label);
  for (size_t at = 0; at < line.size();) {
    const size_t end = std::min(line.find(',', at), line.size());
    std::string word = trimmed(std::string_view(line).substr(at, end - at));
    if (!word.empty()) words.push_back(std::move(word));
    at = end + 1;
  }
  return words;
}

}  // namespace varve
