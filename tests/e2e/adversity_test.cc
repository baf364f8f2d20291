// Whatever the library lacks, the program runs on, and stderr has at most one line of ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>

#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

namespace fs = std::filesystem;

constexpr int kNotPossible = 77;  // confine's

long Lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

// `work` under the library with something taken away by `confine`.
TraceRun RunConfined(const std::vector<std::string>& confinement, const std::string& victim = "work") {
  std::vector<std::string> argv = {Victim("confine"), "--preload", Library()};
  argv.insert(argv.end(), confinement.begin(), confinement.end());
  argv.insert(argv.end(), {"--", Victim(victim), "20000"});
  return RunTraced(argv, {.preload = false});
}

void ExpectRanOn(const TraceRun& run) {
  EXPECT_EQ(run.process.exit_status, 7) << run.error;
  EXPECT_THAT(run.process.output, testing::HasSubstr("done"));
  EXPECT_LE(Lines(run.error), 1) << run.error;
  if (run.traces.empty()) {
    EXPECT_THAT(run.error, testing::HasSubstr("leaktrace")) << "no trace, and no word of it";
  }
}

#define SKIP_IF_NOT_POSSIBLE(run) \
  if ((run).process.exit_status == kNotPossible) GTEST_SKIP() << "this machine does not let it: " << (run).error

TEST(Adversity, NothingTakenAway) {
  const TraceRun run = RunConfined({});
  ExpectRanOn(run);
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(run.OnlyTrace().Live("LeakHalf").blocks, 2);
}

TEST(Adversity, NoRecorder) {
  TempDirectory elsewhere;
  fs::create_directory(elsewhere.path() / "lib");
  fs::copy_file(Library(), elsewhere.path() / "lib/libleaktrace.so");
  const TraceRun run =
      RunTraced({Victim("work"), "20000"}, {.environment = {{"LD_PRELOAD", elsewhere.path() / "lib/libleaktrace.so"}}});
  ExpectRanOn(run);
  EXPECT_TRUE(run.traces.empty());
  EXPECT_EQ(Lines(run.error), 1);
}

TEST(Adversity, RecorderThatIsNone) {
  TempDirectory elsewhere;
  fs::create_directory(elsewhere.path() / "lib");
  fs::create_directory(elsewhere.path() / "bin");
  fs::copy_file(Library(), elsewhere.path() / "lib/libleaktrace.so");
  fs::copy_file("/bin/true", elsewhere.path() / "bin/leaktrace");
  const TraceRun run =
      RunTraced({Victim("work"), "20000"}, {.environment = {{"LD_PRELOAD", elsewhere.path() / "lib/libleaktrace.so"}}});
  ExpectRanOn(run);
  EXPECT_EQ(Lines(run.error), 1);
}

TEST(Adversity, NoProc) {
  const TraceRun run = RunConfined({"--no-proc"});
  SKIP_IF_NOT_POSSIBLE(run);
  ExpectRanOn(run);
}

TEST(Adversity, LittleAddressSpace) {
  const TraceRun run = RunConfined({"--memory", "200000000"});
  ExpectRanOn(run);
}

TEST(Adversity, FewDescriptors) {
  // 0, 1 and 2 are taken: nothing more can be opened once the loader is done with its libraries.
  const TraceRun run = RunConfined({"--files", "4"});
  ExpectRanOn(run);
}

TEST(Adversity, SmallFilesOnly) {
  // Counts for the shared memory too, where a write beyond it would be a SIGXFSZ in the target.
  const TraceRun run = RunConfined({"--file-size", "100000"});
  ExpectRanOn(run);
}

TEST(Adversity, SeccompFilterWithoutMemfd) {
  const TraceRun run = RunConfined({"--deny", "memfd_create"});
  SKIP_IF_NOT_POSSIBLE(run);
  ExpectRanOn(run);
}

TEST(Adversity, SeccompFilterWithoutPidfd) {
  const TraceRun run = RunConfined({"--deny", "pidfd_open"});
  SKIP_IF_NOT_POSSIBLE(run);
  ExpectRanOn(run);
}

TEST(Adversity, FullDevice) {
  const TraceRun run = RunTraced({Victim("work"), "20000"}, {.environment = {{"LEAKTRACE_OUTPUT", "/dev/full"}}});
  ExpectRanOn(run);
}

TEST(Adversity, OutputInNoFolder) {
  const TraceRun run =
      RunTraced({Victim("work"), "20000"}, {.environment = {{"LEAKTRACE_OUTPUT", "/no/such/folder/%p.ltrace"}}});
  ExpectRanOn(run);
  EXPECT_EQ(Lines(run.error), 1);
}

TEST(Adversity, DiskThatFills) {
  // The mount is seen by this test's process and by what it starts, and goes with them.
  const auto directory = std::make_shared<TempDirectory>();
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("none", directory->path().c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "no mount namespace";
  }
  TracedProcess traced({Victim("acknowledge"), "2"}, {.directory = directory});
  // A trace of some hundred thousand events is far larger than the disk.
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(traced.process().ReadLine().has_value());
  traced.process().Signal(SIGTERM);
  const TraceRun run = traced.Finish();
  umount2(directory->path().c_str(), MNT_DETACH);
  EXPECT_EQ(run.process.signal, SIGTERM);
  EXPECT_LE(Lines(run.error), 1) << run.error;
  for (const Trace& trace : run.traces) {
    EXPECT_GT(trace.Live("LeakAcknowledged").blocks, 0) << "what was written before is readable";
  }
}

TEST(Options, WrongValueIsOneLineAndTheProgramRuns) {
  const TraceRun run = RunTraced({Victim("work"), "100"}, {.environment = {{"LEAKTRACE_DEPTH", "many"}}});
  ExpectRanOn(run);
  EXPECT_TRUE(run.traces.empty());
  EXPECT_THAT(run.error, testing::HasSubstr("LEAKTRACE_DEPTH"));
}

TEST(Options, Off) {
  const TraceRun run = RunTraced({Victim("work"), "100"}, {.environment = {{"LEAKTRACE", "0"}}});
  EXPECT_EQ(run.process.exit_status, 7);
  EXPECT_TRUE(run.traces.empty());
  EXPECT_EQ(run.error, "");
}

}  // namespace
}  // namespace leaktrace::e2e
