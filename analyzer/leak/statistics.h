// Robust statistics for short series. Pure functions; series longer than a few hundred values cost quadratic time.
#pragma once

#include <span>
#include <vector>

namespace leaktrace::leak {

// The median; of an even number of values the mean of the middle two. 0 for none.
[[nodiscard]] double Median(std::vector<double> values);

// A straight line through points, by Theil and Sen: its slope is the median of the slopes of all pairs of points, so
// that up to 29 % of the points may be anywhere. The confidence interval (95 %) is Sen's, from the distribution of
// Kendall's tau (P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, 1968). `fit` is the share
// of the variance of y that the line explains, 0..1; of a constant series it is 1.
struct RobustLine {
  double slope = 0;
  double slope_low = 0;
  double slope_high = 0;
  double intercept = 0;
  double fit = 0;
};

// x and y have the same length; pairs with equal x are left out. Fewer than two distinct x give a line of slope 0 and
// fit 0.
[[nodiscard]] RobustLine TheilSen(std::span<const double> x, std::span<const double> y);

// The largest non-decreasing series that is nowhere above `values`: what a series never falls below again. It removes
// the teeth of a sawtooth and keeps the growth beneath them.
[[nodiscard]] std::vector<double> LowerEnvelope(std::span<const double> values);

// Shares of y that grow with a and with b: coefficients, none negative, of the least squares of y = a_rate * a + b_rate
// * b.
struct TwoRates {
  double a = 0;
  double b = 0;
};
[[nodiscard]] TwoRates FitTwoRates(std::span<const double> a, std::span<const double> b, std::span<const double> y);

}  // namespace leaktrace::leak
