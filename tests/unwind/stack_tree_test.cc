#define UNW_LOCAL_ONLY
#include "preload/record/stack_tree.h"

#include <libunwind.h>
#include <pthread.h>

#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unwind/fake_session.h"
#include "tests/unwind/walk_victims.h"

namespace leaktrace {
namespace {

using format::FrameKind;

FakeThread* current_thread;
std::vector<RecordedFrame> captured;
std::vector<std::uint64_t> reference;
int probes;

// Captures and asks libunwind at the same place: both stacks begin at the caller of this function.
__attribute__((noinline)) void CompareProbe() {
  const preload::Registers registers = preload::CallerRegisters();
  const std::uint32_t node = preload::CaptureStack(current_thread->state(), registers);
  captured = current_thread->Stack(node);
  void* addresses[1024];
  const int count = unw_backtrace(addresses, 1024);
  reference.clear();
  for (int i = 0; i < count; ++i) {
    const auto address = reinterpret_cast<std::uint64_t>(addresses[i]);
    if (!reference.empty() || address == registers.pc) reference.push_back(address);
  }
  ++probes;
}

class WalkTest : public testing::TestWithParam<const WalkVictims*> {
 protected:
  WalkTest() { current_thread = &thread_; }

  void ExpectAgreement() {
    ++checked_;
    ASSERT_FALSE(captured.empty());
    ASSERT_FALSE(reference.empty());
    std::vector<std::uint64_t> addresses;
    for (const RecordedFrame& frame : captured) {
      EXPECT_TRUE(frame.kind == FrameKind::kNative || frame.kind == FrameKind::kSignal) << static_cast<int>(frame.kind);
      addresses.push_back(frame.value);
    }
    EXPECT_THAT(addresses, testing::ElementsAreArray(reference));
    EXPECT_EQ(thread_.slot().broken.load(), 0u);
    EXPECT_EQ(thread_.slot().truncated.load(), 0u);
  }

  FakeSession session_;
  FakeThread thread_;
  int checked_ = 0;
};

TEST_P(WalkTest, Plain) {
  for (const int depth : {0, 1, 7, 40}) {
    GetParam()->plain(CompareProbe, depth);
    ExpectAgreement();
  }
}
TEST_P(WalkTest, VariableArrays) {
  GetParam()->variable_arrays(CompareProbe, 5);
  ExpectAgreement();
}
TEST_P(WalkTest, Realigned) {
  GetParam()->realigned(CompareProbe, 5);
  ExpectAgreement();
}
TEST_P(WalkTest, LargeFrames) {
  GetParam()->large_frames(CompareProbe, 5);
  ExpectAgreement();
}
TEST_P(WalkTest, SortCallback) {
  GetParam()->sort_callback(CompareProbe);
  ExpectAgreement();
}
TEST_P(WalkTest, OnceCallback) {
  GetParam()->once_callback(CompareProbe);
  ExpectAgreement();
}
TEST_P(WalkTest, SignalHandler) {
  GetParam()->signal_handler(CompareProbe);
  ExpectAgreement();
  EXPECT_THAT(captured, testing::Contains(testing::Field(&RecordedFrame::kind, FrameKind::kSignal)));
}
TEST_P(WalkTest, SignalOnAlternateStack) {
  GetParam()->signal_on_alternate_stack(CompareProbe);
  ExpectAgreement();
  EXPECT_THAT(captured, testing::Contains(testing::Field(&RecordedFrame::kind, FrameKind::kSignal)));
}
TEST_P(WalkTest, NeverReturns) {
  GetParam()->never_returns(CompareProbe);
  ExpectAgreement();
}
TEST_P(WalkTest, WhileUnwinding) {
  GetParam()->while_unwinding(CompareProbe);
  ExpectAgreement();
}
TEST_P(WalkTest, LastCall) {
  GetParam()->exit_like(CompareProbe);
  ExpectAgreement();
}

INSTANTIATE_TEST_SUITE_P(Compiled, WalkTest,
                         testing::Values(&kVictimsOptimized, &kVictimsFramePointers, &kVictimsUnoptimized,
                                         &kVictimsSections
#ifdef LEAKTRACE_HAS_CLANG_VICTIMS
                                         ,
                                         &kVictimsClang
#endif
                                         ),
                         [](const auto& victims) { return std::string(victims.param->name); });

}  // namespace
}  // namespace leaktrace
