#include "analyzer/leak/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace leaktrace::leak {

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const std::size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle), values.end());
  const double upper = values[middle];
  if (values.size() % 2 == 1) return upper;
  return (*std::max_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle)) + upper) / 2;
}

RobustLine TheilSen(std::span<const double> x, std::span<const double> y) {
  RobustLine line;
  std::vector<double> slopes;
  slopes.reserve(x.size() * x.size() / 2);
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = i + 1; j < x.size(); ++j) {
      if (x[j] != x[i]) slopes.push_back((y[j] - y[i]) / (x[j] - x[i]));
    }
  }
  if (slopes.empty()) return line;
  std::sort(slopes.begin(), slopes.end());
  const double pairs = static_cast<double>(slopes.size());
  line.slope = slopes.size() % 2 == 1 ? slopes[slopes.size() / 2]
                                      : (slopes[slopes.size() / 2 - 1] + slopes[slopes.size() / 2]) / 2;
  const double n = static_cast<double>(x.size());
  const double spread = 1.96 * std::sqrt(n * (n - 1) * (2 * n + 5) / 18);
  const auto at = [&](double rank) { return slopes[static_cast<std::size_t>(std::clamp(rank, 0.0, pairs - 1))]; };
  line.slope_low = at(std::floor((pairs - spread) / 2));
  line.slope_high = at(std::ceil((pairs + spread) / 2));

  std::vector<double> offsets;
  offsets.reserve(x.size());
  double mean = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    offsets.push_back(y[i] - line.slope * x[i]);
    mean += y[i] / n;
  }
  line.intercept = Median(offsets);
  double residual = 0, total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double error = y[i] - line.intercept - line.slope * x[i];
    residual += error * error;
    total += (y[i] - mean) * (y[i] - mean);
  }
  line.fit = total > 0 ? std::clamp(1 - residual / total, 0.0, 1.0) : 1;
  return line;
}

std::vector<double> LowerEnvelope(std::span<const double> values) {
  std::vector<double> envelope(values.begin(), values.end());
  for (std::size_t i = envelope.size(); i-- > 1;) envelope[i - 1] = std::min(envelope[i - 1], envelope[i]);
  return envelope;
}

TwoRates FitTwoRates(std::span<const double> a, std::span<const double> b, std::span<const double> y) {
  double aa = 0, bb = 0, ab = 0, ay = 0, by = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    ab += a[i] * b[i];
    ay += a[i] * y[i];
    by += b[i] * y[i];
  }
  const double determinant = aa * bb - ab * ab;
  TwoRates rates;
  // Nearly proportional a and b cannot be told apart: a, the more specific one, is preferred.
  if (determinant > 1e-3 * aa * bb) {
    rates = {(ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant};
    if (rates.a >= 0 && rates.b >= 0) return rates;
    if (rates.a < 0) return {0, bb > 0 ? std::max(0.0, by / bb) : 0};
  }
  return {aa > 0 ? std::max(0.0, ay / aa) : 0, 0};
}

}  // namespace leaktrace::leak
