// What the recorder learns of its target from outside: how it ended, its memory, its runtime.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "analyzer/record/memory_sampler.h"
#include "analyzer/record/runtime_version.h"
#include "analyzer/record/target_watch.h"
#include "tests/record/fake_session.h"

namespace leaktrace::record {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

EndFacts EndOf(IdleProcess& process, const TargetWatch& watch, bool waited) {
  if (waited) process.Wait();
  while (!watch.HasEnded()) {
  }
  return watch.End();
}

TEST(TargetWatch, TellsTheExitStatusOfAZombie) {
  IdleProcess process;
  const auto watch = TargetWatch::Begin(process.pid());
  ASSERT_TRUE(watch.ok()) << watch.status();
  EXPECT_FALSE(watch->HasEnded());
  process.Exit(42);
  const EndFacts end = EndOf(process, *watch, false);
  EXPECT_EQ(end.kind, TargetEnd::kExit);
  EXPECT_EQ(end.status, 42);
}

TEST(TargetWatch, TellsTheSignal) {
  IdleProcess process;
  const auto watch = TargetWatch::Begin(process.pid());
  ASSERT_TRUE(watch.ok());
  process.Kill(SIGTERM);
  const EndFacts end = EndOf(process, *watch, false);
  EXPECT_EQ(end.kind, TargetEnd::kSignal);
  EXPECT_EQ(end.status, SIGTERM);
  EXPECT_FALSE(end.out_of_memory);
}

// Only Linux 6.15 and later tell then.
TEST(TargetWatch, TellsTheTruthOrNothingOfAProcessThatWasWaitedFor) {
  IdleProcess process;
  const auto watch = TargetWatch::Begin(process.pid());
  ASSERT_TRUE(watch.ok());
  process.Exit(5);
  const EndFacts end = EndOf(process, *watch, true);
  if (end.kind != TargetEnd::kUnknown) {
    EXPECT_EQ(end.kind, TargetEnd::kExit);
    EXPECT_EQ(end.status, 5);
  }
}

TEST(MemorySampler, SumsMappingsByCategory) {
  const MemorySample sample =
      ParseSmaps(R"(555500000000-555500001000 r-xp 00000000 08:01 42                         /usr/bin/node
Size:                  4 kB
Rss:                   4 kB
Pss:                   2 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
555500002000-555500004000 rw-p 00000000 00:00 0                          [heap]
Size:                  8 kB
Rss:                   8 kB
Pss:                   8 kB
Anonymous:             8 kB
7f0000000000-7f0000100000 rw-p 00000000 00:00 0 
Size:               1024 kB
Rss:                 100 kB
Pss:                 100 kB
Anonymous:           100 kB
7f0000200000-7f0000300000 rw-s 00000000 00:01 7                          /memfd:leaktrace (deleted)
Size:               1024 kB
Rss:                  16 kB
Pss:                   8 kB
Anonymous:             0 kB
7ffc00000000-7ffc00001000 rw-p 00000000 00:00 0                          [stack]
Size:                  4 kB
Rss:                   4 kB
Pss:                   4 kB
Anonymous:             4 kB
)");
  EXPECT_EQ(sample.rss, 132u << 10);
  EXPECT_EQ(sample.pss, 122u << 10);
  ASSERT_EQ(sample.categories.size(), 5);
  EXPECT_EQ(sample.categories.at("file").pss, 2u << 10);
  EXPECT_EQ(sample.categories.at("heap").anonymous, 8u << 10);
  EXPECT_EQ(sample.categories.at("anonymous").virtual_size, 1u << 20);
  EXPECT_EQ(sample.categories.at("leaktrace").rss, 16u << 10);
  EXPECT_EQ(sample.categories.at("stack").rss, 4u << 10);
}

TEST(MemorySampler, SeesItsOwnProcess) {
  MemorySampler sampler(getpid());
  EXPECT_GT(sampler.Sample(1).rss, 1u << 20);
  EXPECT_GT(sampler.Sample(2).rss, 1u << 20);
  EXPECT_EQ(MemorySampler(0x7fff'fff0).Sample(1).rss, 0);
}

TEST(RuntimeVersion, ComesFromWhatTheDataSays) {
  const auto find = [](std::string_view text) {
    const RuntimeVersion found = FindRuntimeVersion(text);
    return std::pair(found.name, found.version);
  };
  EXPECT_THAT(find(std::string_view("xx\0node.js/v24.21.0\0yy", 22)), Pair("node", "24.21.0"));
  EXPECT_THAT(find("node.js/v24.21.0Protocol-Version"), Pair("node", "24.21.0"));
  EXPECT_THAT(find("node.js/v25.0.0-nightly20250101abc\""), Pair("node", "25.0.0-nightly20250101abc"));
  EXPECT_THAT(find("Bun v is out, Bun v1.4.4 (Linux x64) node.js/v26.3.0 "), Pair("bun", "1.4.4"));
  EXPECT_THAT(find("node.js/v Bun v1.2 (Linux x64) node.js/v1.2."), Pair("native", ""));
  EXPECT_THAT(find(""), Pair("native", ""));
}

}  // namespace
}  // namespace leaktrace::record
