#include "learn/world/census.h"

#include <algorithm>
#include <cstdio>
#include <functional>

#include "learn/world/score.h"

namespace varve::world {
namespace {

constexpr int kBytesAToken = 4;  // about what a tokenizer of this text reaches

uint64_t hash(std::string_view text) {
  return std::hash<std::string_view>()(text);
}

int64_t usable(const std::vector<Sentence>& all, Split split) {
  const auto held = std::count_if(all.begin(), all.end(), [](const Sentence& one) { return one.held_out; });
  return split == Split::eval ? int64_t(all.size()) : int64_t(all.size()) - held;
}

void print(std::string& out, const char* format, const char* name, double a, double b = 0, double c = 0,
           double d = 0) {
  char line[200];
  std::snprintf(line, sizeof(line), format, name, a, b, c, d);
  out += line;
}

}  // namespace

Inventory inventory(Split split) {
  const Grammar& grammar = Grammar::get();
  Inventory all;
  const int64_t asks = usable(grammar.frames("ask"), split), indirect = usable(grammar.frames("ind"), split);
  const int64_t tells = usable(grammar.frames("tell"), split);
  for (const char* name : {"ask", "ind", "tell", "around", "brief"})
    all.frames += usable(grammar.frames(name), split);
  for (const Relation& relation : grammar.relations()) {
    ++all.relations;
    for (const auto& [section, sentences] : relation.sections) {
      const int64_t count = usable(sentences, split);
      all.sentences += count;
      const bool plain =
          section.starts_with("ask") || section == "yes" || section.starts_with("who") || section == "was";
      if (plain) all.question_forms += count * asks;
      if (section.starts_with("ind")) all.question_forms += count * indirect;
      if (section == "say" || section == "new" || section == "neg")
        all.statement_forms += count * (tells + 3);
    }
  }
  for (const auto& [type, words] : Lexicon::get().lists())
    all.listed_values +=
        int64_t(split == Split::eval && !words.eval.empty() ? words.eval.size() : words.train.size());
  return all;
}

void Census::add(const Item& item) {
  Row& row = rows_[item.kind];
  int64_t bytes = int64_t(item.text.size());
  std::string_view question;
  for (const Json& one : item.messages.as_array()) {
    const std::string& words = one["content"].as_string();
    bytes += int64_t(words.size()) + 12;  // with the marks of a role
    if (one["role"] == Json("assistant")) ++row.answers, row.answer_bytes += int64_t(words.size());
    if (one["role"] == Json("user")) question = words;
  }
  ++row.items;
  row.bytes += bytes;
  row.longest = std::max(row.longest, bytes);
  if (!item.core.empty()) forms_.insert(hash(item.core + "|" + item.frame));
  const size_t mark = question.rfind("</recalled>");
  questions_.insert(hash(mark == question.npos ? question : question.substr(mark)));
  std::string word;
  const auto count_words = [&](std::string_view text) {
    for (const char c : text) {
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (letter) word += c >= 'a' ? c : char(c + 32);
      if (!letter && !word.empty()) words_.insert(hash(word)), word.clear();
    }
  };
  count_words(item.text + " ");
  for (const Json& one : item.messages.as_array()) count_words(one["content"].as_string() + " ");
}

std::string Census::report() const {
  std::string out;
  for (const Split split : {Split::train, Split::eval}) {
    const Inventory all = inventory(split);
    out += split == Split::train ? "grammar, training\n" : "grammar, evaluation\n";
    print(out, "  %-28s %12.0f\n", "relations", double(all.relations));
    print(out, "  %-28s %12.0f\n", "sentences", double(all.sentences));
    print(out, "  %-28s %12.0f\n", "frames", double(all.frames));
    print(out, "  %-28s %12.0f\n", "forms of a question", double(all.question_forms));
    print(out, "  %-28s %12.0f\n", "forms of a statement", double(all.statement_forms));
    print(out, "  %-28s %12.0f\n", "listed values", double(all.listed_values));
  }
  out += "this stream\n  kind                items   ~tokens   longest   answers  ~answer tokens\n";
  int64_t items = 0, bytes = 0;
  for (const auto& [kind, row] : rows_) {
    char line[160];
    std::snprintf(line, sizeof(line), "  %-14s %10lld %9.0f %9lld %9.2f %9.1f\n", kind.c_str(),
                  (long long)row.items, double(row.bytes) / double(row.items) / kBytesAToken,
                  (long long)(row.longest / kBytesAToken), double(row.answers) / double(row.items),
                  row.answers == 0 ? 0 : double(row.answer_bytes) / double(row.answers) / kBytesAToken);
    out += line;
    items += row.items;
    bytes += row.bytes;
  }
  print(out, "  %-28s %12.0f\n", "items", double(items));
  print(out, "  %-28s %12.0f\n", "~tokens", double(bytes) / kBytesAToken);
  print(out, "  %-28s %12.0f\n", "different question forms", double(forms_.size()));
  print(out, "  %-28s %12.0f\n", "different last questions", double(questions_.size()));
  print(out, "  %-28s %12.0f\n", "different words", double(words_.size()));
  return out;
}

}  // namespace varve::world
