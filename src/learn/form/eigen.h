// The eigenvectors of a symmetric matrix, in double: Householder's reduction to three diagonals, then QL
// steps with implicit shifts.
#pragma once

#include <span>

namespace varve::form {

// `a` [n][n] becomes the eigenvectors, one a row; `values` their eigenvalues, the largest first.
void eigen(std::span<double> a, std::span<double> values);

}  // namespace varve::form
