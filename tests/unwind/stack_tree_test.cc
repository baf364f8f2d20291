#define UNW_LOCAL_ONLY
#include "preload/record/stack_tree.h"

#include <libunwind.h>
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "preload/js/frames.h"
#include "preload/record/stack_nodes.h"
#include "tests/unwind/fake_session.h"
#include "tests/unwind/walk_victims.h"

namespace leaktrace {
namespace {

using format::FrameKind;

FakeThread* current_thread;
std::vector<RecordedFrame> captured;
std::vector<std::uint64_t> reference;

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
}

class WalkTest : public testing::TestWithParam<const WalkVictims*> {
 protected:
  WalkTest() { current_thread = &thread_; }

  void ExpectAgreement() {
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

// The innermost frame's function and what is around it differ from call to call, so that both new and known stacks come
// by.
std::mt19937_64 random_calls;
int budget;
FakeThread* fresh_thread;
int compared;

void NestedProbe() {
  const preload::Registers registers = preload::CallerRegisters();
  const std::vector<RecordedFrame> remembered =
      current_thread->Stack(preload::CaptureStack(current_thread->state(), registers));
  preload::ReleaseStackTree(fresh_thread->state());
  const std::uint32_t node = preload::CaptureStack(fresh_thread->state(), registers);
  // The fresh tree begins at node 1 again; its records are the last ones.
  const std::vector<RecordedFrame> walked = fresh_thread->StackOfFreshTree(node);
  EXPECT_EQ(remembered, walked);
  ++compared;
  if (--budget <= 0) return;
  static const WalkVictims* const kVictims[] = {&kVictimsOptimized, &kVictimsFramePointers, &kVictimsUnoptimized,
                                                &kVictimsSections};
  const WalkVictims& victims = *kVictims[random_calls() % 4];
  for (std::uint64_t calls = random_calls() % 3 + 1; calls > 0; --calls) {
    const int depth = static_cast<int>(random_calls() % 3);
    switch (random_calls() % 6) {
      case 0:
        victims.plain(NestedProbe, depth);
        break;
      case 1:
        victims.variable_arrays(NestedProbe, depth);
        break;
      case 2:
        victims.realigned(NestedProbe, depth);
        break;
      case 3:
        victims.sort_callback(NestedProbe);
        break;
      case 4:
        victims.never_returns(NestedProbe);
        break;
      default:
        victims.while_unwinding(NestedProbe);
        break;
    }
  }
}

TEST(StackMemo, GivesWhatAWalkGives) {
  FakeSession session;
  FakeThread remembering, fresh;
  current_thread = &remembering;
  fresh_thread = &fresh;
  compared = 0;
  for (int round = 0; round < 150; ++round) {
    random_calls.seed(static_cast<std::uint64_t>(round % 50));  // each tree of calls comes by three times
    budget = 12;
    NestedProbe();
    if (HasFailure()) break;
  }
  EXPECT_GT(compared, 1500);
}

TEST(CaptureStack, GivesTheSameNodeForTheSameStack) {
  FakeSession session;
  FakeThread thread;
  current_thread = &thread;
  std::vector<std::uint64_t> records;
  for (int i = 0; i < 3; ++i) {
    kVictimsOptimized.plain(CompareProbe, 5);
    records.push_back(thread.node_records());
    if (i == 1) session.UpdateModules();  // the epoch changes: caches are void, nodes are not
  }
  EXPECT_EQ(records[0], records[1]);
  EXPECT_EQ(records[0], records[2]);
}

TEST(CaptureStack, StopsAtTheDepthLimit) {
  FakeSession session({.max_depth = 6});
  FakeThread thread;
  current_thread = &thread;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    kVictimsOptimized.plain(CompareProbe, 10);
    ASSERT_EQ(captured.size(), 7u);
    EXPECT_EQ(captured.back(), (RecordedFrame{FrameKind::kTruncated, 6, 0}));
    for (std::size_t frame = 0; frame < 6; ++frame) EXPECT_EQ(captured[frame].value, reference[frame]);
    EXPECT_EQ(thread.slot().truncated.load(), i);  // counted where the stack is known already, too
  }
}

TEST(CaptureStack, ReachesTheStartOfAThread) {
  FakeSession session;
  std::thread([] {
    FakeThread thread;
    current_thread = &thread;
    kVictimsOptimized.plain(CompareProbe, 3);
    std::vector<std::uint64_t> addresses;
    for (const RecordedFrame& frame : captured) addresses.push_back(frame.value);
    EXPECT_THAT(addresses, testing::ElementsAreArray(reference));
    EXPECT_EQ(thread.slot().broken.load(), 0u);
  }).join();
}

TEST(CaptureStack, FollowsFramePointersWhereTheUserSaysSo) {
  FakeSession session({.unwinder = format::Unwinder::kFramePointer});
  FakeThread thread;
  current_thread = &thread;
  kVictimsFramePointers.plain(CompareProbe, 10);
  ASSERT_GT(captured.size(), 11u);
  for (std::size_t frame = 0; frame < 11; ++frame) EXPECT_EQ(captured[frame].value, reference[frame]);
}

TEST(CaptureStack, GivesNoStackWhereANodeCannotBeWritten) {
  FakeSession session;
  FakeThread thread;
  current_thread = &thread;
  thread.LimitRing(6);
  kVictimsOptimized.plain(CompareProbe, 5);
  EXPECT_TRUE(captured.empty());
  thread.LimitRing(3000);
  kVictimsOptimized.plain(CompareProbe, 5);
  EXPECT_EQ(captured.size(), reference.size());
}

ucontext_t main_context, coroutine_context;

void Coroutine() {
  kVictimsOptimized.plain(CompareProbe, 3);
  kVictimsFramePointers.plain(CompareProbe, 3);
  kVictimsOptimized.large_frames(CompareProbe, 1);
}

// A stack that the library does not know, with nothing readable beyond it.
TEST(CaptureStack, StaysWithinAStackOfTheProgramsOwn) {
  constexpr std::size_t kBytes = 256 << 10;
  auto* const memory =
      static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(mprotect(memory + kBytes - 4096, 4096, PROT_NONE), 0);
  FakeSession session;
  FakeThread thread;
  current_thread = &thread;
  captured.clear();
  ASSERT_EQ(getcontext(&coroutine_context), 0);
  coroutine_context.uc_stack.ss_sp = memory;
  coroutine_context.uc_stack.ss_size = kBytes - 4096;
  coroutine_context.uc_link = &main_context;
  makecontext(&coroutine_context, Coroutine, 0);
  ASSERT_EQ(swapcontext(&main_context, &coroutine_context), 0);
  EXPECT_FALSE(captured.empty());
  munmap(memory, kBytes);
}

// Machine code without rows, as a JIT compiler makes it: a frame with two words of its own, like an interpreter's.
class InterpreterFrame : public testing::Test {
 protected:
  using Function = void (*)(Probe, std::uint64_t array, std::uint64_t offset);

  InterpreterFrame() {
    static constexpr unsigned char kCode[] = {
        0x55,                    // push rbp
        0x48, 0x89, 0xe5,        // mov rbp, rsp
        0x48, 0x83, 0xec, 0x40,  // sub rsp, 64
        0x48, 0x89, 0x75, 0xe0,  // mov [rbp - 32], rsi
        0x48, 0x89, 0x55, 0xd8,  // mov [rbp - 40], rdx
        0xff, 0xd7,              // call rdi
        0xc9,                    // leave
        0xc3,                    // ret
    };
    memory_ = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memcpy(memory_, kCode, sizeof(kCode));
    mprotect(memory_, kPage, PROT_READ | PROT_EXEC);
    preload::js::engine = preload::js::Engine::kV8;
    preload::js::engine_state.code = {reinterpret_cast<std::uintptr_t>(memory_),
                                      reinterpret_cast<std::uintptr_t>(memory_) + kPage};
    current_thread = &thread_;
  }
  ~InterpreterFrame() override {
    preload::js::engine = preload::js::Engine::kNone;
    munmap(memory_, kPage);
  }

  void Call(std::uint64_t array, std::uint64_t offset) {
    reinterpret_cast<Function>(memory_)(CompareProbe, array, offset);
  }

  static constexpr std::size_t kPage = 4096;
  FakeSession session_;
  FakeThread thread_;
  void* memory_;
};

TEST_F(InterpreterFrame, IsWhatItsWordsSay) {
  for (int round = 0; round < 3; ++round) {
    for (const std::uint64_t offset : {7, 8, 7, 9}) {
      Call(0x10001, offset);
      ASSERT_EQ(captured.size(), reference.size());
      EXPECT_EQ(captured[0], (RecordedFrame{FrameKind::kInterpreted, 0x10001, static_cast<std::uint32_t>(offset)}));
      EXPECT_EQ(captured[1].value, reference[1]);
      EXPECT_EQ(thread_.slot().broken.load(), 0u);
    }
  }
}

TEST_F(InterpreterFrame, IsForgottenWithItsEpoch) {
  std::uint64_t records[3];
  for (std::uint64_t& after : records) {
    if (&after == &records[2]) ++preload::js::engine_state.epoch;
    Call(0x10001, 7);
    after = thread_.node_records();
    EXPECT_EQ(captured[0], (RecordedFrame{FrameKind::kInterpreted, 0x10001, 7}));
  }
  EXPECT_EQ(records[1], records[0]);
  EXPECT_EQ(records[2], 2 * records[0] + 1);  // the reset, and every node anew
}

TEST(StackNodes, BeginsAnewWhenItIsFull) {
  FakeSession session;
  FakeThread thread;
  preload::StackNodes nodes{};
  std::uint64_t word = 0;
  while (!nodes.Full()) {
    ++word;
    ASSERT_EQ(nodes.Intern(thread.state(), word % 7 == 0 ? static_cast<std::uint32_t>(word - 1) : 0, word, 3), word);
  }
  EXPECT_EQ(nodes.Intern(thread.state(), 0, 5, 3), 5u);
  EXPECT_EQ(nodes.Intern(thread.state(), 0, word + 1, 3), preload::kNoNode);
  EXPECT_EQ(thread.Stack(static_cast<std::uint32_t>(word / 7 * 7)).size(), 2u);
  EXPECT_TRUE(nodes.Reset(thread.state()));
  EXPECT_EQ(nodes.Intern(thread.state(), 0, 77, 0), 1u);
  EXPECT_EQ(thread.Stack(1), (std::vector<RecordedFrame>{{FrameKind::kNative, 77, 0}}));
  nodes.Release();
}

}  // namespace
}  // namespace leaktrace
