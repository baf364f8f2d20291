#include "analyzer/leak/triage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/leak/synthetic.h"

namespace leaktrace::leak {
namespace {

constexpr double kMB = 1e6;

struct Scene {
  ProcessHistory process;
  Window window;
};

// 40 MB of blocks that stay, allocated over the whole run.
Scene Make(const std::function<MemorySample(double)>& memory) {
  Synthetic run(100, [](double time) { return time * 100; });
  run.AddSite(Evenly(0, 100, 4000, 10000));
  Scene scene;
  scene.process = run.Process();
  for (int i = 0; i <= 200; ++i) {
    scene.process.memory.push_back(memory(i / 2.0));
    scene.process.memory.back().time = i / 2.0;
  }
  scene.window = *ChooseWindow(scene.process, std::nullopt);
  return scene;
}

double Sum(const Growth& growth) {
  double sum = 0;
  for (const auto& part : {growth.native_live, growth.js_heap, growth.allocator, growth.mappings, growth.stacks,
                           growth.files, growth.tracer, growth.unexplained}) {
    sum += part.value_or(0);
  }
  return sum;
}

std::uint64_t Ramp(double time, double megabytes) {
  return static_cast<std::uint64_t>((50 + megabytes * time / 100) * kMB);
}

TEST(TriageTest, PartsAddUpToTheGrowth) {
  Scene scene = Make([](double time) {
    MemorySample sample;
    sample.js_heap = Ramp(time, 20);
    sample.stacks = Ramp(time, 2);
    sample.anonymous = Ramp(time, 65) + *sample.js_heap + *sample.stacks;
    sample.files = Ramp(time, 3);
    sample.tracer = Ramp(time, 1);
    sample.rss = *sample.anonymous + *sample.files + *sample.tracer;
    return sample;
  });
  for (TimelinePoint& point : scene.process.timeline) point.mapped_bytes = Ramp(point.time, 5);
  const Growth growth = Triage(scene.process, scene.window);
  EXPECT_NEAR(*growth.native_live, 32 * kMB, 0.5 * kMB);
  EXPECT_NEAR(*growth.allocator, 16 * kMB, 0.5 * kMB);
  EXPECT_NEAR(*growth.js_heap, 16 * kMB, 0.5 * kMB);
  EXPECT_NEAR(*growth.mappings, 4 * kMB, 0.5 * kMB);
  EXPECT_NEAR(*growth.unexplained, 0, 1);
  EXPECT_NEAR(Sum(growth), *growth.rss, 1);
  EXPECT_THAT(Explain(growth).front(), ::testing::HasSubstr("native blocks that live"));
}

TEST(TriageTest, BlocksThatAreNeverTouchedTakeNoMemory) {
  const Scene scene = Make([](double time) {
    MemorySample sample;
    sample.anonymous = Ramp(time, 10);
    sample.rss = *sample.anonymous + 1'000'000;
    return sample;
  });
  const Growth growth = Triage(scene.process, scene.window);
  EXPECT_NEAR(growth.native_requested, 32 * kMB, 0.5 * kMB);
  EXPECT_NEAR(*growth.native_live, 8 * kMB, 0.5 * kMB);
  EXPECT_NEAR(*growth.allocator, 0, 1);
  EXPECT_NEAR(*growth.unexplained, 0, 1);
  EXPECT_THAT(Explain(growth).back(), ::testing::HasSubstr("never touched"));
}

TEST(TriageTest, WithoutNamedRegionsTheRuntimesCountIsTheJavaScriptHeap) {
  Scene scene = Make([](double time) {
    MemorySample sample;
    sample.anonymous = Ramp(time, 50);
    sample.rss = *sample.anonymous + 1'000'000;
    return sample;
  });
  EXPECT_NEAR(*Triage(scene.process, scene.window).allocator, 8 * kMB, 0.5 * kMB);
  for (const double time : {20.0, 100.0}) {
    scene.process.js_heap.push_back({.time = time, .heap_used = Ramp(time, 4), .heap_total = Ramp(time, 5)});
  }
  const Growth growth = Triage(scene.process, scene.window);
  EXPECT_NEAR(*growth.js_heap, 4 * kMB, 0.2 * kMB);
  EXPECT_NEAR(*growth.js_heap_used, 3.2 * kMB, 0.2 * kMB);
  EXPECT_NEAR(*growth.allocator, 4 * kMB, 0.5 * kMB);
  EXPECT_NEAR(Sum(growth), *growth.rss, 1);
}

TEST(TriageTest, WhatIsNotKnownIsUnexplained) {
  const Scene scene = Make([](double time) {
    MemorySample sample;
    sample.rss = Ramp(time, 100);
    return sample;
  });
  const Growth growth = Triage(scene.process, scene.window);
  EXPECT_FALSE(growth.allocator.has_value());
  EXPECT_NEAR(*growth.unexplained, 48 * kMB, kMB);
}

TEST(TriageTest, WithoutSamplesOnlyBlocksAreKnown) {
  Scene scene = Make([](double) { return MemorySample{}; });
  scene.process.memory.clear();
  const Growth growth = Triage(scene.process, scene.window);
  EXPECT_FALSE(growth.rss.has_value());
  EXPECT_FALSE(growth.unexplained.has_value());
  EXPECT_NEAR(growth.native_requested, 32 * kMB, 0.5 * kMB);
}

TEST(TriageTest, SteadyRiseLooksBeneathTheSawtooth) {
  const Scene scene = Make([](double) { return MemorySample{}; });
  std::vector<std::pair<double, double>> samples;
  for (int i = 0; i <= 200; ++i) samples.emplace_back(i / 2.0, (i % 10) * 10.0 + i);
  EXPECT_NEAR(*SteadyRise(samples, scene.process, scene.window), 160, 25);
  EXPECT_FALSE(SteadyRise({{50, 1}, {60, 2}}, scene.process, scene.window).has_value());
}

}  // namespace
}  // namespace leaktrace::leak
