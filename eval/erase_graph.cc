// Erasure: random forgets in a home with cubes of all three forms, derived from each other, against a plain
// map of what must go. Every cube carries a word of its own; afterwards the bytes of every file of the home
// are searched for the words of what was forgotten, while it is open and after it was closed.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "bench/bench.h"
#include "core/base/rng.h"
#include "serve/home/home.h"

namespace varve::eval {
namespace {

constexpr std::string_view kMark = "MARK-";
constexpr size_t kDigits = 24;
const Principal kWho{"eval"};

struct Node {
  std::string mark;
  Form form = Form::plaintext;
  std::vector<CubeId> children;
  bool gone = false, flagged = false;
};

std::string mark_of(uint64_t number) {
  return std::string(kMark) + sha256("mark " + std::to_string(number)).hex().substr(0, kDigits);
}

class Graph {
 public:
  Graph(Home& home, uint64_t seed) : home_(home), seed_(seed) {}

  Status grow(int cubes) {
    while (int(ids_.size()) < cubes) TRY(add());
    return {};
  }

  Status forget_one() {
    CubeId id = ids_[draw(uint32_t(ids_.size()))];
    while (nodes_[id].gone) id = ids_[draw(uint32_t(ids_.size()))];
    const auto start = std::chrono::steady_clock::now();
    TRY(home_.forget(kWho, id, "by eval"));
    times_.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    doom(id);
    return {};
  }

  // What the store has that the map says is gone, and the other way round.
  struct Difference {
    int64_t kept = 0, lost = 0, unflagged = 0;
  };
  Result<Difference> compare(const CubeStore& cubes) const {
    Difference found;
    for (const auto& [id, node] : nodes_) {
      const CubeHeader header = TRY(cubes.head(kWho, id));
      auto words = cubes.payload(kWho, id);
      found.kept += node.gone && (words.ok() || header.life != Life::erased);
      found.lost += !node.gone && (!words.ok() || words->find(node.mark) == std::string::npos);
      found.unflagged += !node.gone && node.flagged != header.relearn;
    }
    return found;
  }

  std::set<std::string> gone_marks() const {
    std::set<std::string> marks;
    for (const auto& [id, node] : nodes_) {
      if (node.gone) marks.insert(node.mark);
    }
    return marks;
  }
  std::vector<double>& times() { return times_; }
  size_t gone() const { return gone_marks().size(); }

 private:
  uint32_t draw(uint32_t below) { return random_bits({.seed = seed_, .step = drawn_++}, 0) % below; }

  Status add() {
    Node node{.mark = mark_of(drawn_)};
    CubeDraft draft;
    CubeHeader& h = draft.header;
    h.kind = "turn";
    std::set<CubeId> from;
    if (ids_.size() > 20 && draw(10) < 6) {
      const uint32_t form = draw(10);
      node.form = form < 6 ? Form::plaintext : form < 8 ? Form::activation : Form::parametric;
      h.kind = form < 6 ? "summary" : form < 8 ? "state" : "adapter";
      for (uint32_t n = 1 + draw(3); n > 0; --n) from.insert(ids_[draw(uint32_t(ids_.size()))]);
    }
    h.form = node.form;
    if (node.form != Form::plaintext) h.model = Hash256{};
    for (const CubeId& parent : from) {
      if (nodes_[parent].gone) return {};
      h.from.push_back({parent, 0});
    }
    h.title = h.why = node.mark;
    h.session = "session " + node.mark;
    for (uint32_t n = draw(12) == 0 ? 900 : 1 + draw(30); n > 0; --n)
      draft.payload += node.mark + " said it ";
    const CubeId id = TRY(home_.cubes().put(kWho, std::move(draft)));
    for (const CubeId& parent : from) nodes_[parent].children.push_back(id);
    nodes_[id] = std::move(node);
    ids_.push_back(id);
    return {};
  }

  // Everything derived goes; weights, unless they were asked for, stay and are flagged.
  void doom(CubeId root) {
    std::set<CubeId> seen{root};
    std::vector<CubeId> next{root};
    for (size_t i = 0; i < next.size(); ++i) {
      Node& node = nodes_[next[i]];
      if (node.gone) continue;
      const bool weights = node.form == Form::parametric && next[i] != root;
      node.gone = !weights;
      node.flagged = weights;
      for (const CubeId& child : node.children) {
        if (seen.insert(child).second) next.push_back(child);
      }
    }
  }

  Home& home_;
  const uint64_t seed_;
  uint64_t drawn_ = 0;
  std::vector<CubeId> ids_;
  std::map<CubeId, Node> nodes_;
  std::vector<double> times_;
};

// How many of `marks` lie in any file of the folder, as bytes or as UTF-16.
int64_t residues(const std::string& folder, const std::set<std::string>& marks) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    for (size_t at = bytes.find(kMark); at != std::string::npos; at = bytes.find(kMark, at + 1))
      found.insert(bytes.substr(at, kMark.size() + kDigits));
    std::string wide;
    for (const char c : kMark) wide += {c, '\0'};
    for (size_t at = bytes.find(wide); at != std::string::npos; at = bytes.find(wide, at + 1)) {
      std::string narrow;
      for (size_t i = 0; i < kMark.size() + kDigits && at + 2 * i < bytes.size(); ++i)
        narrow += bytes[at + 2 * i];
      found.insert(narrow);
    }
  }
  return std::count_if(found.begin(), found.end(),
                       [&](const std::string& one) { return marks.contains(one); });
}

Result<std::vector<Measure>> run(const std::string& folder, int cubes, int forgets) {
  HomeOptions options;
  options.folder = folder;
  options.budget_bytes = 1ll << 30;
  auto home = TRY(Home::open(options));
  Graph graph(*home, 1);
  for (int done = 0; done < forgets; ++done) {  // it grows while it is forgotten
    TRY(graph.grow(std::min(cubes, cubes / 2 + done * cubes / (2 * forgets) + 1)));
    TRY(graph.forget_one());
  }
  const std::set<std::string> marks = graph.gone_marks();
  const int64_t open = residues(folder, marks);
  const auto found = TRY(graph.compare(home->cubes()));
  const auto problems = int64_t(TRY(home->cubes().check()).size());
  home.reset();
  const int64_t closed = residues(folder, marks);
  std::vector<double>& times = graph.times();
  std::sort(times.begin(), times.end());
  return std::vector<Measure>{
      {"forgets", double(times.size()), "forgets", "cubes that went", double(marks.size())},
      {"residues on disk, open", double(open), "words"},
      {"residues on disk, closed", double(closed), "words"},
      {"wrongly removed", double(found.lost), "cubes"},
      {"wrongly kept", double(found.kept), "cubes"},
      {"weights wrongly flagged or not", double(found.unflagged), "cubes"},
      {"problems of fsck", double(problems), "problems"},
      {"forget p50", times[times.size() / 2], "ms"},
      {"forget p99", times[times.size() * 99 / 100], "ms"}};
}

}  // namespace

Result<std::vector<Measure>> erase_graph(const Spec& options) {
  int cubes = 6000, forgets = 1000;
  TRY(OptionReader(options).read("cubes", cubes, 100, 1000000).read("forgets", forgets, 1, 100000).done());
  const auto folder = std::filesystem::temp_directory_path() / ("varve-erase-" + CubeId::make(0).text());
  auto measured = run(folder.string(), cubes, forgets);
  std::error_code failed;
  std::filesystem::remove_all(folder, failed);
  return measured;
}

}  // namespace varve::eval
