#include "learn/form/eigen.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace varve::form {
namespace {

// q a q^T is tridiagonal: its diagonal, what stands beside it, and q, one basis vector a row.
struct Tridiagonal {
  std::vector<double> diagonal, beside;
};

// Reflections v from the first column on: each zeroes a column below its second entry, and what is left is
// changed on both sides; then q is built from them, the last first.
Tridiagonal reduce(std::span<double> a, size_t n) {
  Tridiagonal t{std::vector<double>(n), std::vector<double>(n)};
  std::vector<double> p(n);
  std::vector<std::vector<double>> reflections(n);
  for (size_t k = 0; k + 2 < n; ++k) {
    const size_t first = k + 1;
    std::vector<double>& v = reflections[k];
    v.assign(a.begin() + int64_t(k * n + first), a.begin() + int64_t(k * n + n));
    const double size = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
    t.diagonal[k] = a[k * n + k];
    t.beside[k] = v[0] > 0 ? -size : size;
    v[0] -= t.beside[k];
    const double norm = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
    if (norm > 0) {
      for (double& value : v) value /= norm;
    }
    const size_t m = n - first;
    double along = 0;
    for (size_t i = 0; i < m; ++i) {
      const double* row = a.data() + (first + i) * n + first;
      p[i] = std::inner_product(v.begin(), v.end(), row, 0.0);
      along += p[i] * v[i];
    }
    for (size_t i = 0; i < m; ++i) p[i] = 2 * (p[i] - along * v[i]);
    for (size_t i = 0; i < m; ++i) {
      double* row = a.data() + (first + i) * n + first;
      for (size_t j = 0; j < m; ++j) row[j] -= p[i] * v[j] + v[i] * p[j];
    }
  }
  if (n > 1) t.diagonal[n - 2] = a[(n - 2) * n + n - 2], t.beside[n - 2] = a[(n - 2) * n + n - 1];
  t.diagonal[n - 1] = a[n * n - 1];
  std::fill(a.begin(), a.end(), 0.0);
  for (size_t i = 0; i < n; ++i) a[i * n + i] = 1;
  for (size_t k = n < 3 ? 0 : n - 2; k-- > 0;) {  // rows of q are the columns of the product of reflections
    const std::vector<double>& v = reflections[k];
    for (size_t i = k + 1; i < n; ++i) {
      double* row = a.data() + i * n + k + 1;
      const double along = 2 * std::inner_product(v.begin(), v.end(), row, 0.0);
      for (size_t j = 0; j < v.size(); ++j) row[j] -= along * v[j];
    }
  }
  return t;
}

void turn(double* one, double* other, size_t n, double c, double s) {
  for (size_t i = 0; i < n; ++i) {
    const double x = one[i], y = other[i];
    one[i] = c * x - s * y, other[i] = s * x + c * y;
  }
}

// One implicit QL step on [low, high].
void step(Tridiagonal& t, std::span<double> q, size_t n, size_t low, size_t high) {
  std::vector<double>&d = t.diagonal, &e = t.beside;
  const double half = (d[low + 1] - d[low]) / (2 * e[low]), root = std::hypot(half, 1.0);
  double g = d[high] - d[low] + e[low] / (half + std::copysign(root, half));
  double s = 1, c = 1, shift = 0;
  for (size_t i = high; i-- > low;) {
    const double f = s * e[i], b = c * e[i], r = std::hypot(f, g);
    e[i + 1] = r;
    if (r == 0) {
      d[i + 1] -= shift, e[high] = 0;
      return;
    }
    s = f / r, c = g / r;
    g = d[i + 1] - shift;
    const double next = (d[i] - g) * s + 2 * c * b;
    shift = s * next;
    d[i + 1] = g + shift;
    g = c * next - b;
    turn(q.data() + i * n, q.data() + (i + 1) * n, n, c, s);
  }
  d[low] -= shift, e[low] = g, e[high] = 0;
}

}  // namespace

void eigen(std::span<double> a, std::span<double> values) {
  const size_t n = values.size();
  if (n == 0) return;
  Tridiagonal t = reduce(a, n);
  for (size_t low = 0; low < n; ++low) {
    for (int tries = 0; tries < 60; ++tries) {
      size_t high = low;
      while (high + 1 < n && std::abs(t.beside[high]) >
                                 1e-16 * (std::abs(t.diagonal[high]) + std::abs(t.diagonal[high + 1]))) {
        ++high;
      }
      if (high == low) break;
      step(t, a, n, low, high);
    }
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t x, size_t y) { return t.diagonal[x] > t.diagonal[y]; });
  const std::vector<double> vectors(a.begin(), a.end());
  for (size_t i = 0; i < n; ++i) {
    values[i] = t.diagonal[order[i]];
    std::copy_n(vectors.begin() + int64_t(order[i] * n), n, a.begin() + int64_t(i * n));
  }
}

}  // namespace varve::form
