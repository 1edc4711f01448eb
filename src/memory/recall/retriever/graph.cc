// Graph: memories that lead to each other, after HippoRAG (Gutierrez et al. 2024) without a model: cubes are
// linked by the rare words and names that they share and by provenance (what they were derived from or take
// the place of). Personalised PageRank from the question's words, by forward push (Andersen, Chung & Lang
// 2006): the cost of a query is bounded whatever the size of the memory.
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <unordered_map>

#include "memory/recall/index/key_table.h"
#include "memory/recall/index/lexical.h"
#include "memory/recall/query/question.h"
#include "memory/recall/query/terms.h"
#include "memory/recall/retriever.h"
#include "memory/recall/top.h"

namespace varve::retriever {
namespace {

struct Options {
  double stay = 0.5;      // of the walk's mass that stays where it is, each step
  int32_t hub = 100;      // a word that more cubes have links nothing
  int32_t pushes = 1000;  // of a query at most
};

struct Node {
  CubeId id;
  std::vector<uint32_t> words;  // slots in Web::keys
  std::vector<CubeId> links;    // both ways
};

struct Web {  // of one space
  KeyTable<TermKey> keys;
  std::vector<std::vector<uint32_t>> cubes;  // by word: slots of nodes
  size_t size = 0;
};

class Graph : public Retriever {
 public:
  explicit Graph(const Options& options) : options_(options) {}

  Status add(const CubeHeader& header, std::string_view text, std::span<const float>) override {
    remove(header.id);
    const uint32_t slot = ids_.add(header.id);
    if (slot >= nodes_.size()) nodes_.resize(slot + 1), homes_.resize(slot + 1);
    const auto home = webs_.try_emplace(header.space).first;
    homes_[slot] = home;
    Web& web = home->second;
    ++web.size;
    Node node{.id = header.id, .words = {}, .links = {}};
    auto terms = terms_of(header.title + " " + std::string(text));
    std::sort(terms.begin(), terms.end());
    terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
    for (const std::string& term : terms) {
      const TermKey key = term_key(term);
      uint32_t word = web.keys.find(key);
      if (word == KeyTable<TermKey>::kNone) word = web.keys.add(key);
      if (word >= web.cubes.size()) web.cubes.resize(word + 1);
      web.cubes[word].push_back(slot);
      node.words.push_back(word);
    }
    for (const Source& source : header.from) node.links.push_back(source.cube);
    for (CubeId older : header.supersedes) node.links.push_back(older);
    for (CubeId other : node.links) back_[other].push_back(header.id);
    nodes_[slot] = std::move(node);
    return {};
  }

  void remove(CubeId id) override {
    const uint32_t slot = ids_.remove(id);
    if (slot == KeyTable<CubeId>::kNone) return;
    Web& web = homes_[slot]->second;
    for (uint32_t word : nodes_[slot].words) {
      std::erase(web.cubes[word], slot);
      if (!web.cubes[word].empty()) continue;
      web.keys.remove(web.keys.at(word));
      web.cubes[word] = {};
    }
    for (CubeId other : nodes_[slot].links) {
      const auto found = back_.find(other);
      if (found == back_.end()) continue;
      std::erase(found->second, id);
      if (found->second.empty()) back_.erase(found);
    }
    nodes_[slot] = {};
    if (--web.size == 0) webs_.erase(homes_[slot]);
    if (ids_.size() == 0) nodes_ = std::vector<Node>(), homes_ = decltype(homes_)();
  }

  Result<std::vector<Hit>> search(const Query& query, int32_t k) const override {
    const Question question = read_question(query.text);
    Top top(k);
    for (const std::string& name : query.spaces) {
      const auto web = webs_.find(name);
      if (web == webs_.end()) continue;
      for (const auto& [slot, mass] : walk(web->second, question)) top.offer({nodes_[slot].id, float(mass)});
    }
    return top.take();
  }

  int64_t bytes() const override {
    int64_t sum = ids_.bytes() + int64_t(nodes_.capacity() * (sizeof(Node) + 8)) + int64_t(back_.size() * 96);
    for (const Node& node : nodes_) sum += int64_t(node.words.capacity() * 4 + node.links.capacity() * 16);
    for (const auto& [name, web] : webs_) {
      sum += 256 + web.keys.bytes() + int64_t(web.cubes.capacity() * 24);
      for (const auto& list : web.cubes) sum += int64_t(list.capacity() * 4);
    }
    return sum;
  }

 private:
  // A step of the walk: words and cubes are numbered apart, words by their complement.
  using Place = int64_t;
  static Place of_word(uint32_t word) { return -1 - Place(word); }

  static double rarity(const Web& web, uint32_t word) {
    const double having = double(web.cubes[word].size());
    return std::log(1 + (double(web.size) - having + 0.5) / (having + 0.5));
  }

  std::unordered_map<uint32_t, double> walk(const Web& web, const Question& question) const {
    std::unordered_map<Place, double> waiting;
    std::unordered_map<uint32_t, double> mass;
    std::deque<Place> queue;
    double total = 0;
    for (const std::string& term : question.terms) {
      const uint32_t word = web.keys.find(term_key(term));
      if (word == KeyTable<TermKey>::kNone) continue;
      waiting[of_word(word)] = rarity(web, word);
      total += rarity(web, word);
      queue.push_back(of_word(word));
    }
    for (int32_t pushed = 0; pushed < options_.pushes && !queue.empty(); ++pushed) {
      const Place at = queue.front();
      queue.pop_front();
      const double amount = std::exchange(waiting[at], 0);
      if (at >= 0) mass[uint32_t(at)] += options_.stay * amount;
      const double moving = at >= 0 ? (1 - options_.stay) * amount : amount;
      if (moving < 1e-4 * total) continue;
      for (const auto& [next, share] : ways_from(web, at)) {
        double& there = waiting[next];
        if (there == 0) queue.push_back(next);
        there += moving * share;
      }
    }
    for (const auto& [at, amount] : waiting) {  // what arrived and was not moved on
      if (at >= 0 && amount > 0) mass[uint32_t(at)] += options_.stay * amount;
    }
    return mass;
  }

  // Where a step leads, with shares that sum to 1. A hub leads to the first of its cubes only from the
  // question itself, so that a common word alone still finds something.
  std::vector<std::pair<Place, double>> ways_from(const Web& web, Place at) const {
    std::vector<std::pair<Place, double>> ways;
    if (at < 0) {
      const auto& cubes = web.cubes[size_t(-1 - at)];
      const size_t count = std::min(cubes.size(), size_t(options_.hub));
      for (size_t i = 0; i < count; ++i) ways.emplace_back(cubes[i], 1.0 / double(count));
      return ways;
    }
    const Node& node = nodes_[size_t(at)];
    for (uint32_t word : node.words) {
      if (web.cubes[word].size() > 1 && web.cubes[word].size() <= size_t(options_.hub))
        ways.emplace_back(of_word(word), rarity(web, word));
    }
    const double strong = std::log(1 + double(web.size));  // a link says as much as the rarest word
    const auto link = [&](CubeId other) {
      const uint32_t slot = ids_.find(other);
      if (slot != KeyTable<CubeId>::kNone && &homes_[slot]->second == &web) ways.emplace_back(slot, strong);
    };
    for (CubeId other : node.links) link(other);
    if (const auto back = back_.find(node.id); back != back_.end()) {
      for (size_t i = 0; i < std::min(back->second.size(), size_t(options_.hub)); ++i) link(back->second[i]);
    }
    double sum = 0;
    for (const auto& [next, share] : ways) sum += share;
    for (auto& [next, share] : ways) share /= sum;
    return ways;
  }

  Options options_;
  KeyTable<CubeId> ids_;
  std::vector<Node> nodes_;  // by slot of ids_
  std::vector<std::map<std::string, Web>::iterator> homes_;
  std::map<std::string, Web> webs_;
  std::unordered_map<CubeId, std::vector<CubeId>> back_;  // who links to it
};

}  // namespace

Made graph(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("stay", options.stay, 0.01, 0.99)
          .read("hub", options.hub, 1, 100000)
          .read("pushes", options.pushes, 1, 1000000)
          .done());
  return std::unique_ptr<Retriever>(new Graph(options));
}

}  // namespace varve::retriever
