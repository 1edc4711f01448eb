// A tape: numbers in double precision that remember what they were made of, so that the slope of the last in
// each of the first comes back by the chain rule. Slow, obvious, and nothing of the product is in it.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

namespace varve::reference {

class Tape {
 public:
  using Id = int32_t;
  Id number(double value) { return node(value, nullptr); }
  double value(Id id) const { return values_[size_t(id)]; }
  double slope(Id id) const { return slopes_[size_t(id)]; }
  double& value(Id id) { return values_[size_t(id)]; }

  Id add(Id a, Id b) {
    return node(value(a) + value(b), [this, a, b](double d) { at(a) += d, at(b) += d; });
  }
  Id times(Id a, Id b) {
    return node(value(a) * value(b),
                [this, a, b](double d) { at(a) += d * value(b), at(b) += d * value(a); });
  }
  Id scale(Id a, double by) {
    return node(value(a) * by, [this, a, by](double d) { at(a) += d * by; });
  }
  Id dot(const std::vector<Id>& a, const std::vector<Id>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += value(a[i]) * value(b[i]);
    return node(sum, [this, a, b](double d) {
      for (size_t i = 0; i < a.size(); ++i) at(a[i]) += d * value(b[i]), at(b[i]) += d * value(a[i]);
    });
  }
  // f at a, whose slope there is known.
  Id apply(Id a, double f, double slope) {
    return node(f, [this, a, slope](double d) { at(a) += d * slope; });
  }
  Id exp(Id a) { return apply(a, std::exp(value(a)), std::exp(value(a))); }
  Id log(Id a) { return apply(a, std::log(value(a)), 1 / value(a)); }
  Id power(Id a, double p) { return apply(a, std::pow(value(a), p), p * std::pow(value(a), p - 1)); }
  Id sum(const std::vector<Id>& all) {
    double total = 0;
    for (Id id : all) total += value(id);
    return node(total, [this, all](double d) {
      for (Id id : all) at(id) += d;
    });
  }
  void back(Id last) {
    slopes_.assign(values_.size(), 0);
    at(last) = 1;
    for (size_t i = values_.size(); i-- > 0;) {
      if (backs_[i]) backs_[i](slopes_[i]);
    }
  }
  void cut(size_t count) { values_.resize(count), backs_.resize(count); }  // forgets what came later
  size_t size() const { return values_.size(); }

 private:
  Id node(double value, std::function<void(double)> back) {
    values_.push_back(value), backs_.push_back(std::move(back));
    return Id(values_.size()) - 1;
  }
  double& at(Id id) { return slopes_[size_t(id)]; }
  std::vector<double> values_, slopes_;
  std::vector<std::function<void(double)>> backs_;
};

}  // namespace varve::reference
