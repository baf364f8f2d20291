// Histories made up for tests: blocks with a birth and a death, requests at given times, and the timeline that follows
// from them.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "analyzer/leak/history.h"

namespace leaktrace::leak {

inline constexpr double kNever = std::numeric_limits<double>::infinity();

class Synthetic {
 public:
  struct Block {
    double birth = 0;
    double death = kNever;
    std::uint64_t bytes = 0;
  };

  // `requests_at` gives the requests served until a time; it does not fall.
  Synthetic(double seconds, std::function<double(double)> requests_at, std::uint32_t points = 200)
      : seconds_(seconds), points_(points), requests_at_(std::move(requests_at)) {}

  [[nodiscard]] double seconds() const { return seconds_; }

  // Adds a site and returns its number.
  std::size_t AddSite(std::vector<Block> blocks) {
    sites_.push_back(std::move(blocks));
    return sites_.size() - 1;
  }

  [[nodiscard]] double TimeOf(std::uint32_t point) const { return seconds_ * point / (points_ - 1); }

  [[nodiscard]] SiteHistory Site(std::size_t index) const {
    SiteHistory site;
    site.site = static_cast<std::uint32_t>(index);
    site.points.resize(points_);
    std::vector<Survivors> survivors(points_);
    for (std::uint32_t i = 0; i < points_; ++i) site.points[i].point = survivors[i].interval = i;
    // Births and deaths at their points, added up afterwards. Unsigned sums wrap and come back.
    for (const Block& block : sites_[index]) {
      const std::uint32_t born = PointAfter(block.birth);
      if (born >= points_) continue;
      SitePoint& birth = site.points[born];
      birth.allocations_so_far += 1;
      birth.allocated_bytes_so_far += block.bytes;
      const std::uint32_t died = block.death > seconds_ ? points_ : PointAfter(block.death);
      if (died > born) {
        birth.live_blocks += 1;
        birth.live_bytes += block.bytes;
        if (died < points_) {
          site.points[died].live_blocks -= 1;
          site.points[died].live_bytes -= block.bytes;
        }
      }
      if (block.death > seconds_) {
        survivors[born].blocks += 1;
        survivors[born].bytes += block.bytes;
      }
    }
    for (std::uint32_t i = 1; i < points_; ++i) {
      site.points[i].live_blocks += site.points[i - 1].live_blocks;
      site.points[i].live_bytes += site.points[i - 1].live_bytes;
      site.points[i].allocations_so_far += site.points[i - 1].allocations_so_far;
      site.points[i].allocated_bytes_so_far += site.points[i - 1].allocated_bytes_so_far;
    }
    for (const Survivors& at : survivors) {
      if (at.blocks > 0) site.survivors.push_back(at);
    }
    return site;
  }

  [[nodiscard]] ProcessHistory Process() const {
    ProcessHistory process;
    process.runtime = "node";
    process.timeline.resize(points_);
    for (std::uint32_t i = 0; i < points_; ++i) {
      process.timeline[i].time = TimeOf(i);
      process.timeline[i].requests_so_far = static_cast<std::uint64_t>(requests_at_(TimeOf(i)));
    }
    for (std::size_t site = 0; site < sites_.size(); ++site) {
      for (const SitePoint& at : Site(site).points) {
        process.timeline[at.point].allocations_so_far += at.allocations_so_far;
        process.timeline[at.point].live_bytes += at.live_bytes;
        process.timeline[at.point].live_blocks += at.live_blocks;
      }
    }
    return process;
  }

 private:
  [[nodiscard]] std::uint32_t PointAfter(double time) const {
    return static_cast<std::uint32_t>(std::ceil(time / seconds_ * (points_ - 1) - 1e-9));
  }

  double seconds_;
  std::uint32_t points_;
  std::function<double(double)> requests_at_;
  std::vector<std::vector<Block>> sites_;
};

// Blocks at even distances in [from, to), `count` of them, each living `lifetime` seconds.
inline std::vector<Synthetic::Block> Evenly(double from, double to, std::size_t count, std::uint64_t bytes,
                                            double lifetime = kNever) {
  std::vector<Synthetic::Block> blocks;
  for (std::size_t i = 0; i < count; ++i) {
    const double birth = from + (to - from) * (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    blocks.push_back({birth, birth + lifetime, bytes});
  }
  return blocks;
}

// The same, freed all at once every `period` seconds, as a garbage collector does.
inline std::vector<Synthetic::Block> Sawtooth(double from, double to, std::size_t count, std::uint64_t bytes,
                                              double period) {
  std::vector<Synthetic::Block> blocks = Evenly(from, to, count, bytes);
  for (Synthetic::Block& block : blocks) block.death = (std::floor(block.birth / period) + 1) * period;
  return blocks;
}

inline std::vector<Synthetic::Block> operator+(std::vector<Synthetic::Block> a,
                                               const std::vector<Synthetic::Block>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace leaktrace::leak
