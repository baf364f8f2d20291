// Any death of the target leaves everything in the trace that happened some time before it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>

#include "absl/strings/str_split.h"
#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

std::int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Acknowledged {
  std::int64_t count = 0;
  std::int64_t time = 0;
};

std::optional<Acknowledged> Read(Process& process, std::chrono::milliseconds limit) {
  const std::optional<std::string> line = process.ReadLine(limit);
  if (!line) return std::nullopt;
  const std::vector<std::string> fields = absl::StrSplit(*line, ' ');
  if (fields.size() != 2) return std::nullopt;
  return Acknowledged{std::atoll(fields[0].c_str()), std::atoll(fields[1].c_str())};
}

// Kills `acknowledge` with `threads` threads after a random time and compares what it had told with the report.
void KillOnce(int threads, std::int64_t milliseconds, const char* victim) {
  SCOPED_TRACE(testing::Message() << victim << " with " << threads << " threads, killed after " << milliseconds
                                  << " ms");
  TracedProcess traced({Victim(victim), std::to_string(threads)});
  Process& process = traced.process();

  std::vector<Acknowledged> lines;
  std::int64_t killed_at = 0;
  for (;;) {
    const std::int64_t left = lines.empty() ? 60'000 : milliseconds - (Now() - lines.front().time) / kMillisecond;
    if (left <= 0) break;
    const auto line = Read(process, std::chrono::milliseconds(left));
    if (line) {
      lines.push_back(*line);
    } else {
      ASSERT_FALSE(lines.empty()) << "the victim said nothing";
      break;
    }
  }
  killed_at = Now();
  process.Signal(SIGKILL);
  while (const auto line = Read(process, std::chrono::seconds(10))) lines.push_back(*line);
  const TraceRun run = traced.Finish();
  EXPECT_EQ(run.process.signal, SIGKILL);

  std::int64_t required = 0, told = 0;
  for (const Acknowledged& line : lines) {
    told = std::max(told, line.count);
    if (line.time <= killed_at - 500 * kMillisecond) required = std::max(required, line.count);
  }
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  const SiteTotal live = trace.Live("LeakAcknowledged");
  EXPECT_GE(live.blocks, required);
  // Each thread may have been in a batch that it could not tell of any more, each with its passing block live.
  EXPECT_LE(live.blocks, told + threads * (2 * 500 + 1));
  EXPECT_GE(live.bytes, 41 * required);
}

class Kill : public testing::TestWithParam<int> {};

TEST_P(Kill, LosesNothingOlderThanHalfASecond) {
  std::mt19937 random(static_cast<unsigned>(GetParam()));
  const int runs = std::getenv("LEAKTRACE_TEST_LONG") != nullptr ? 100 : 10;
  for (int i = 0; i < runs && !HasFailure(); ++i) {
    const int threads = std::uniform_int_distribution(1, 4)(random);
    const int milliseconds = std::uniform_int_distribution(0, 1500)(random);
    KillOnce(threads, milliseconds, i % 5 == 4 ? "acknowledge-musl" : "acknowledge");
  }
}

// Five shards of ten: they run beside each other.
INSTANTIATE_TEST_SUITE_P(Seed, Kill, testing::Range(1, 6));

TEST(Recorder, KilledLeavesTheTargetToFinish) {
  TracedProcess traced({Victim("work"), "20000"});
  ASSERT_EQ(traced.process().ReadLine(), "half");
  const std::optional<pid_t> recorder = traced.FindRecorder();
  ASSERT_TRUE(recorder.has_value());
  kill(*recorder, SIGKILL);
  traced.process().Write("\n");
  const TraceRun run = traced.Finish();
  EXPECT_EQ(run.process.exit_status, 7);
  EXPECT_THAT(run.process.output, testing::HasSubstr("done"));
  // What was written before is readable.
  EXPECT_EQ(run.OnlyTrace().report["end"]["kind"], "lost");
}

TEST(Recorder, StuckLeavesTheTargetToFinish) {
  // More events than the rings hold: without a recorder that reads, the threads wait until they give it up.
  TracedProcess traced({Victim("work"), "3000000"});
  ASSERT_EQ(traced.process().ReadLine(), "half");
  const std::optional<pid_t> recorder = traced.FindRecorder();
  ASSERT_TRUE(recorder.has_value());
  kill(*recorder, SIGSTOP);
  traced.process().Write("\n");
  const auto line = traced.process().ReadLine(std::chrono::seconds(60));
  kill(*recorder, SIGCONT);
  EXPECT_EQ(line, "done");
  const TraceRun run = traced.Finish();
  EXPECT_EQ(run.process.exit_status, 7);
}

}  // namespace
}  // namespace leaktrace::e2e
