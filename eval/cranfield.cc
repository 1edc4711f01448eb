// Cranfield (Cleverdon 1967): 1,400 abstracts on aerodynamics, 225 questions, judged by hand. Long documents,
// no talk: what is tuned on conversations must not lose here. The judgements number questions in file order.
#include "eval/collection.h"

namespace varve::eval {
namespace {

// The text between <name> and </name>, and what follows it.
std::string_view element(std::string_view& rest, std::string_view name) {
  const std::string begin = "<" + std::string(name) + ">", end = "</" + std::string(name) + ">";
  const size_t from = rest.find(begin);
  const size_t to = from == std::string_view::npos ? from : rest.find(end, from);
  if (to == std::string_view::npos) {
    rest = {};
    return {};
  }
  const std::string_view inside = rest.substr(from + begin.size(), to - from - begin.size());
  rest.remove_prefix(to + end.size());
  return inside;
}

}  // namespace

Result<std::vector<Measure>> cranfield(const Spec& options) {
  const std::string folder = option(options, "data", "../shared/data/cranfield");
  const auto read = [&](const char* name) { return read_data({}, "data", folder + "/" + name); };
  const std::string documents = TRY(read("cran.all.1400.xml"));
  const std::string questions = TRY(read("cran.qry.xml"));
  const std::string judged = TRY(read("cranqrel.trec.txt"));
  Collection collection;
  for (std::string_view rest = documents; !rest.empty();) {
    std::string_view one = element(rest, "doc");
    if (one.empty()) continue;
    const std::string title(element(one, "title"));
    collection.documents.push_back({title, std::string(element(one, "text"))});
    // The store keeps no empty memory.
    if (collection.documents.back().text.find_first_not_of(" \n") == std::string::npos)
      collection.documents.back().text = title.empty() ? "(no text)" : title;
  }
  for (std::string_view rest = questions; !rest.empty();) {
    std::string_view one = element(rest, "top");
    if (!one.empty()) collection.questions.push_back({std::string(element(one, "title")), {}});
  }
  size_t question = 0, document = 0;
  int grade = 0, used = 0;
  for (const char* at = judged.c_str();
       std::sscanf(at, "%zu %*s %zu %d%n", &question, &document, &grade, &used) == 3; at += used) {
    if (grade > 0 && question >= 1 && question <= collection.questions.size())
      collection.questions[question - 1].gold[document - 1] = grade;
  }
  return measure(collection, options);
}

}  // namespace varve::eval
