#include "run/decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/rng.h"

namespace varve {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kLargest = 1e30f;  // what +infinity counts as; differences stay finite

struct Candidate {
  float logit;
  int32_t token;
};
bool better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

std::vector<Candidate> candidates_of(std::span<const float> logits) {
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] != kNever) candidates.push_back({logits[i], static_cast<int32_t>(i)});
  }
  return candidates;
}

// The `count` best come first, in order; the others follow in none.
void sort_best(std::vector<Candidate>& candidates, size_t count) {
  count = std::min(count, candidates.size());
  const auto middle = candidates.begin() + static_cast<ptrdiff_t>(count);
  if (middle != candidates.end()) std::nth_element(candidates.begin(), middle, candidates.end(), better);
  std::sort(candidates.begin(), middle, better);
}

// The model's own distribution, and what bias and penalties changed of it.
class Original {
 public:
  Original(std::span<float> logits, bool with_logprobs) : logits_(logits) {
    float most = kNever;
    for (float& logit : logits) {
      logit = std::isnan(logit) ? kNever : std::min(logit, kLargest);
      most = std::max(most, logit);
    }
    if (!with_logprobs) return;  // a sum over the whole vocabulary costs more than all the rest
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double(logit) - most);
    log_sum_ = most + std::log(sum);
  }

  void change(int32_t token, float logit) {
    changed_.emplace_back(token, logits_[token]);
    logits_[token] = std::isnan(logit) ? kNever : std::min(logit, kLargest);
  }

  float logprob(int32_t token) const {
    const auto first = std::find_if(changed_.begin(), changed_.end(),
                                    [token](const auto& change) { return change.first == token; });
    return static_cast<float>((first == changed_.end() ? logits_[token] : first->second) - log_sum_);
  }

  float operator[](int32_t token) const { return logits_[token]; }
  bool has(int32_t token) const { return token >= 0 && size_t(token) < logits_.size(); }

 private:
  std::span<float> logits_;
  std::vector<std::pair<int32_t, float>> changed_;
  double log_sum_ = 0;
};

void apply_bias(Original& logits, const std::map<int32_t, float>& bias) {
  for (const auto& [token, added] : bias) {
    if (logits.has(token)) logits.change(token, added <= -100 ? kNever : logits[token] + added);
  }
}

void apply_penalties(Original& logits, std::span<const int32_t> history, const SamplingOptions& options) {
  if (options.repeat_penalty == 1 && options.frequency_penalty == 0 && options.presence_penalty == 0) return;
  if (options.penalty_window >= 0 && size_t(options.penalty_window) < history.size()) {
    history = history.last(size_t(options.penalty_window));
  }
  std::map<int32_t, int32_t> counts;
  for (const int32_t token : history) ++counts[token];
  for (const auto& [token, count] : counts) {
    if (!logits.has(token) || logits[token] == kNever) continue;
    const float logit = logits[token];
    const float repeated = logit > 0 ? logit / options.repeat_penalty : logit * options.repeat_penalty;
    const float presence = options.presence_penalty;
    logits.change(token, repeated - static_cast<float>(count) * options.frequency_penalty - presence);
  }
}

// Of sorted candidates: how many of the best have the probability `wanted` together. Sorts as far as needed.
size_t nucleus(std::vector<Candidate>& candidates, size_t sorted, double wanted) {
  const float most = candidates[0].logit;
  double all = 0, sum = 0;
  for (const Candidate& c : candidates) all += std::exp(double(c.logit) - most);
  for (size_t kept = 0; kept < candidates.size(); ++kept) {
    if (kept == sorted) sort_best(candidates, sorted *= 8);
    sum += std::exp(double(candidates[kept].logit) - most);
    if (sum >= wanted * all) return kept + 1;
  }
  return candidates.size();
}

void cut(std::vector<Candidate>& candidates, const SamplingOptions& options) {
  constexpr size_t kFirstSorted = 256;
  size_t sorted = kFirstSorted;
  if (options.top_k > 0 && size_t(options.top_k) < candidates.size()) {
    sorted = size_t(options.top_k);
    sort_best(candidates, sorted);
    candidates.resize(sorted);
  } else if (options.top_p < 1) {
    sort_best(candidates, sorted);
  }
  if (options.top_p < 1) candidates.resize(nucleus(candidates, sorted, options.top_p));
  if (options.min_p > 0) {
    const float most = std::min_element(candidates.begin(), candidates.end(), better)->logit;
    const double least = most + std::log(double(options.min_p));
    std::erase_if(candidates, [least](const Candidate& c) { return c.logit < least; });
  }
}

int32_t draw(const std::vector<Candidate>& candidates, float temperature, double unit) {
  const float most = std::min_element(candidates.begin(), candidates.end(), better)->logit;
  const auto weight = [&](const Candidate& c) { return std::exp((double(c.logit) - most) / temperature); };
  double all = 0, sum = 0;
  for (const Candidate& c : candidates) all += weight(c);
  int32_t last = -1;
  for (const Candidate& c : candidates) {
    if (weight(c) <= 0) continue;
    sum += weight(c);
    last = c.token;
    if (sum > unit * all) break;
  }
  return last;
}

Status outside(const char* field, const char* range) {
  return Status(Code::invalid, std::string(field) + " must be " + range);
}

bool within(float value, float least, float most) {
  return value >= least && value <= most;
}  // false for NaN

}  // namespace

Status SamplingOptions::validate() const {
  if (temperature && !within(*temperature, 0, 100)) return outside("temperature", "between 0 and 100");
  if (top_k < 0) return outside("top_k", "0 (all) or more");
  if (!within(top_p, 0, 1)) return outside("top_p", "between 0 and 1");
  if (!within(min_p, 0, 1)) return outside("min_p", "between 0 and 1");
  if (!within(repeat_penalty, 0.01f, 100)) return outside("repeat_penalty", "between 0.01 and 100");
  if (!within(frequency_penalty, -2, 2)) return outside("frequency_penalty", "between -2 and 2");
  if (!within(presence_penalty, -2, 2)) return outside("presence_penalty", "between -2 and 2");
  if (penalty_window < -1) return outside("penalty_window", "-1 (all) or more");
  if (logprobs < -1 || logprobs > 100) return outside("logprobs", "between -1 (none) and 100");
  for (const auto& [token, bias] : logit_bias) {
    if (token < 0) return outside("logit_bias", "of tokens, which are 0 or more");
    if (!(bias <= 100)) return outside("logit_bias", "100 or less; -100 bans the token");
  }
  return {};
}

Result<Sampled> sample(std::span<float> logits, std::span<const int32_t> history, uint64_t index,
                       const SamplingOptions& options) {
  Original original(logits, options.logprobs >= 0);
  std::vector<Candidate> candidates = candidates_of(logits);
  if (candidates.empty()) return Status(Code::corrupt, "no token can follow: the model gave no finite logit");
  Sampled sampled;
  if (options.logprobs > 0) {
    sort_best(candidates, size_t(options.logprobs));
    candidates.resize(std::min(candidates.size(), size_t(options.logprobs)));
    for (const Candidate& c : candidates) sampled.best.emplace_back(c.token, original.logprob(c.token));
  }
  apply_bias(original, options.logit_bias);
  apply_penalties(original, history, options);
  candidates = candidates_of(logits);
  if (candidates.empty()) return Status(Code::invalid, "no token can follow: logit_bias bans all that could");
  const float temperature = options.temperature.value_or(0.8f);
  if (temperature <= 0) {
    sampled.token = std::min_element(candidates.begin(), candidates.end(), better)->token;
  } else {
    cut(candidates, options);
    const double unit = random_unit({.seed = options.seed, .step = index, .site = Site::sampling}, 0);
    sampled.token = draw(candidates, temperature, unit);
  }
  if (options.logprobs >= 0) sampled.logprob = original.logprob(sampled.token);
  return sampled;
}

}  // namespace varve
