#include "serve/home/adapters.h"

#include <charconv>
#include <cmath>

namespace varve {
namespace {

constexpr size_t kMostAtOnce = 16, kMostMixed = 64;

}  // namespace

Result<std::vector<AdapterChoice>> parse_adapters(std::string_view text) {
  std::vector<AdapterChoice> all;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    AdapterChoice choice;
    const size_t colon = one.rfind(':');
    if (colon != std::string_view::npos) {
      const std::string_view number = one.substr(colon + 1);
      const auto [last, error] =
          std::from_chars(number.data(), number.data() + number.size(), choice.strength);
      if (error != std::errc() || last != number.data() + number.size() ||
          !(std::fabs(choice.strength) <= 100)) {
        return Status(Code::invalid, "'" + std::string(one) +
                                         "' is no adapter with a strength, as mine:0.5, from -100 to 100");
      }
      one = one.substr(0, colon);
    }
    choice.name = one;
    if (choice.name.empty()) return Status(Code::invalid, "an adapter without a name");
    all.push_back(std::move(choice));
  }
  return all;
}

bool is_adapter_file(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".gguf");
}

AdapterShelf::AdapterShelf(Env& env, const CubeStore& cubes, std::shared_ptr<const Model> model,
                           Ledger& ledger)
    : env_(env), cubes_(cubes), model_(std::move(model)), ledger_(ledger) {
  ledger_.add_shrinker(this);
}

AdapterShelf::~AdapterShelf() {
  ledger_.remove_shrinker(this);
}

Result<std::shared_ptr<const Adapter>> AdapterShelf::get(const Principal& who,
                                                         std::span<const AdapterChoice> choices, bool files) {
  if (choices.size() > kMostAtOnce) {
    return Status(Code::invalid, "at most " + std::to_string(kMostAtOnce) + " adapters at once");
  }
  std::vector<AdapterShare> shares;
  Key key;
  for (const AdapterChoice& choice : choices) {
    std::string name;
    auto adapter = TRY(one(who, choice.name, files, name));
    key.emplace_back(std::move(name), choice.strength);
    shares.push_back({std::move(adapter), choice.strength});
  }
  if (shares.empty() || (shares.size() == 1 && shares[0].strength == 1))
    return mix_adapters(std::move(shares), model_->weights());
  if (auto found = find(key)) return found;
  return keep(key, mix_adapters(std::move(shares), model_->weights()));
}

// Opened outside of the lock: the ledger may ask for bytes meanwhile.
Result<std::shared_ptr<const Adapter>> AdapterShelf::one(const Principal& who, const std::string& name,
                                                         bool files, std::string& key) {
  if (files && is_adapter_file(name)) {
    key = name;
    if (auto found = find({{key, 1.f}})) return found;
    return keep({{key, 1.f}}, TRY(StoredAdapter::open(env_, name, *model_, ledger_)));
  }
  const CubeHeader header = TRY(find_adapter(cubes_, who, name));
  key = header.id.text() + ":" + std::to_string(header.version);
  if (auto found = find({{key, 1.f}})) return found;
  if (header.model && *header.model != model_->fingerprint()) {  // before its bytes are read
    return Status(Code::invalid,
                  "the adapter '" + header.title + "' was made for another model than " + model_->name());
  }
  AdapterFile file = TRY(load_adapter(cubes_, who, header, ledger_));
  return keep({{key, 1.f}},
              TRY(StoredAdapter::make(std::move(file), "the adapter '" + header.title + "'", *model_)));
}

std::shared_ptr<const Adapter> AdapterShelf::find(const Key& key) {
  std::lock_guard lock(mutex_);
  const auto found = kept_.find(key);
  return found == kept_.end() ? nullptr : found->second;
}

std::shared_ptr<const Adapter> AdapterShelf::keep(const Key& key, std::shared_ptr<const Adapter> made) {
  std::lock_guard lock(mutex_);
  std::erase_if(kept_, [&](const auto& one) {  // mixtures are cheap to make again
    return kept_.size() > kMostMixed && one.first.size() > 1 && one.second.use_count() == 1;
  });
  return kept_.emplace(key, std::move(made)).first->second;  // whoever was first
}

void AdapterShelf::clear() {
  std::map<Key, std::shared_ptr<const Adapter>> dropped;
  std::lock_guard lock(mutex_);
  dropped.swap(kept_);
}

void AdapterShelf::shrink(int64_t) {
  std::vector<std::shared_ptr<const Adapter>> dropped;
  std::lock_guard lock(mutex_);
  for (const bool mixed : {true, false}) {  // mixtures hold what they are made of
    std::erase_if(kept_, [&](auto& one) {
      if ((one.first.size() > 1 || one.first[0].second != 1) != mixed || one.second.use_count() > 1)
        return false;
      if (!mixed) dropped.push_back(std::move(one.second));
      return true;
    });
  }
}

}  // namespace varve
