// The ring's writer against a reader in the same process: several producers, small rings, every record whole and in
// order.
#include "preload/thread/ring_writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "preload/base/syscall.h"
#include "preload/session/session.h"
#include "preload/thread/registration.h"

namespace leaktrace::preload {
namespace {

using format::Op;
using format::SlotState;
using format::ThreadSlot;

class RingWriter : public testing::Test {
 protected:
  void Start(format::OverflowPolicy policy = format::OverflowPolicy::kWait) {
    format::SessionOptions options{};
    options.ring_bytes = format::kMinRingBytes;
    options.overflow = policy;
    ASSERT_TRUE(CreateSharedMemory(options, shared_memory));
    process.header = shared_memory.header;
    process.clock = format::ClockKind::kSequence;
    process.pid = ProcessId();
    shared_memory.header->recorder_pid = ProcessId();
    process.session = kFirstSession;
  }
  void TearDown() override {
    CloseDescriptor(shared_memory);
    Unmap(shared_memory);
    process.session = kUndecided;
  }

  // Reads what a slot has, as the recorder does, and calls `visit` with each record's words.
  template <typename Visit>
  static bool Drain(std::uint32_t index, Visit visit) {
    ThreadSlot& slot = shared_memory.Slots()[index];
    const std::uint64_t* const ring = shared_memory.Ring(index);
    const std::uint64_t mask = format::kMinRingBytes / 8 - 1;
    const SlotState state = slot.state.load(std::memory_order_acquire);
    const std::uint64_t head = slot.head.load(std::memory_order_acquire);
    std::uint64_t at = slot.tail.load(std::memory_order_relaxed);
    const bool read = at != head;
    while (at != head) {
      const Op op = static_cast<Op>(ring[at & mask] & 255);
      const std::uint64_t words = format::IsVariable(op) ? 2 + (ring[(at + 1) & mask] + 7) / 8 : format::FixedWords(op);
      if (words == 0 || words > head - at) {
        ADD_FAILURE() << "a record of " << words << " words, op " << static_cast<int>(op);
        return false;
      }
      std::vector<std::uint64_t> record;
      for (std::uint64_t i = 0; i < words; ++i) record.push_back(ring[(at + i) & mask]);
      visit(op, record);
      at += words;
    }
    slot.tail.store(at, std::memory_order_release);
    shared_memory.header->progress.fetch_add(1, std::memory_order_relaxed);
    if (state == SlotState::kEnding && at == slot.head.load(std::memory_order_relaxed)) {
      slot.state.store(SlotState::kFree, std::memory_order_release);
    }
    return read;
  }
};

TEST_F(RingWriter, EveryRecordOfEveryThreadArrivesInOrder) {
  Start();
  constexpr int kThreads = 4;
  constexpr std::uint64_t kRecords = 20'000;
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&running] {
      ThreadState& thread = thread_state;
      thread.guard = Guard::kWriting;
      ASSERT_TRUE(TakeSlot(thread));
      for (std::uint64_t i = 0; i < kRecords; ++i) {
        // Records of different lengths, so that they wrap around the ring's end at every place.
        if (i % 3 == 0) {
          ASSERT_TRUE(Append(thread, RecordWord(Op::kFree, i), i));
        } else if (i % 3 == 1) {
          ASSERT_TRUE(Append(thread, RecordWord(Op::kMap, i), i, i + 1, i + 2, i + 3));
        } else {
          const std::string text(i % 50, static_cast<char>('a' + i % 26));
          ASSERT_TRUE(AppendVariable(thread, Op::kRoute, i, text.data(), text.size()));
        }
      }
      GiveSlotBack(thread);
      thread = ThreadState{};
      running.fetch_sub(1);
    });
  }
  std::vector<std::uint64_t> next(kThreads, 0);
  std::vector<int> ends(kThreads, 0);
  const auto read_all = [&] {
    bool read = false;
    for (std::uint32_t slot = 0; slot < shared_memory.header->slot_count.load(std::memory_order_acquire); ++slot) {
      read |= Drain(slot, [&](Op op, const std::vector<std::uint64_t>& words) {
        if (op == Op::kThreadStart) {
          next[slot] = 0;  // a thread that took the slot of one that had ended
          return;
        }
        if (op == Op::kThreadEnd) {
          EXPECT_EQ(next[slot], kRecords);
          ++ends[slot];
          return;
        }
        const std::uint64_t i = next[slot]++;
        ASSERT_EQ(words[0] >> 8, i);
        if (op == Op::kFree) {
          ASSERT_EQ(words[1], i);
        } else if (op == Op::kMap) {
          ASSERT_EQ(words[4], i + 3);
        } else {
          ASSERT_EQ(op, Op::kRoute);
          ASSERT_EQ(words[1], i % 50);
          std::string text(words[1], '\0');
          std::memcpy(text.data(), words.data() + 2, text.size());
          ASSERT_EQ(text, std::string(i % 50, static_cast<char>('a' + i % 26)));
        }
      });
    }
    return read;
  };
  while (running.load() > 0) {
    if (!read_all()) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  while (read_all()) {
  }
  int ended = 0;
  for (const int count : ends) ended += count;
  EXPECT_EQ(ended, kThreads);
}

TEST_F(RingWriter, DropsAndCountsWhereThatIsThePolicy) {
  Start(format::OverflowPolicy::kDrop);
  ThreadState thread;
  ASSERT_TRUE(TakeSlot(thread));
  const std::uint64_t capacity = format::kMinRingBytes / 8;
  std::uint64_t written = 0;
  while (Append(thread, RecordWord(Op::kFree, written), written)) ++written;
  EXPECT_GT(written, capacity / 2 - 10);
  EXPECT_LE(2 * written, capacity);
  EXPECT_FALSE(Append(thread, RecordWord(Op::kFree, 0), std::uint64_t{0}));
  EXPECT_EQ(thread.slot->dropped.load(), 2u);

  std::uint64_t read = 0;
  Drain(thread.slot_index, [&](Op op, const std::vector<std::uint64_t>& words) {
    if (op == Op::kFree) {
      EXPECT_EQ(words[1], read++);
    }
  });
  EXPECT_EQ(read, written);
  EXPECT_TRUE(Append(thread, RecordWord(Op::kFree, 0), std::uint64_t{0}));
  GiveSlotBack(thread);
}

TEST_F(RingWriter, StopsWhenTheRecorderIsGone) {
  Start();
  ThreadState thread;
  ASSERT_TRUE(TakeSlot(thread));
  shared_memory.header->recorder_state = format::RecorderState::kFailed;
  std::uint64_t written = 0;
  while (Append(thread, RecordWord(Op::kFree, written), written)) ++written;
  EXPECT_EQ(process.session.load(), kNotRecording);
  EXPECT_EQ(shared_memory.header->stop_reason.load(), format::StopReason::kRecorderLost);
  EXPECT_EQ(shared_memory.header->target_state.load(), format::TargetState::kStopped);
}

TEST_F(RingWriter, StopsWhenTheRecorderStandsStill) {
  Start();
  ThreadState thread;
  ASSERT_TRUE(TakeSlot(thread));
  while (Append(thread, RecordWord(Op::kFree, 0), std::uint64_t{0})) {
  }
  EXPECT_EQ(shared_memory.header->stop_reason.load(), format::StopReason::kRecorderStuck);
}

TEST_F(RingWriter, ASlotIsUsedAgainOnceItWasRead) {
  Start();
  ThreadState first;
  ASSERT_TRUE(TakeSlot(first));
  EXPECT_EQ(first.slot_index, 0u);
  GiveSlotBack(first);
  ThreadState second;
  ASSERT_TRUE(TakeSlot(second));
  EXPECT_EQ(second.slot_index, 1u);
  Drain(0, [](Op, const std::vector<std::uint64_t>&) {});
  ThreadState third;
  ASSERT_TRUE(TakeSlot(third));
  EXPECT_EQ(third.slot_index, 0u);
  EXPECT_GT(third.head, 0u) << "a slot's positions go on";
  GiveSlotBack(second);
  GiveSlotBack(third);
}

TEST_F(RingWriter, LongTextsAreCut) {
  Start();
  ThreadState thread;
  ASSERT_TRUE(TakeSlot(thread));
  const std::string text(format::kMaxVariableBytes + 100, 'x');
  ASSERT_TRUE(AppendVariable(thread, Op::kMark, 0, "12345678", 8, text.data(), text.size()));
  std::uint64_t bytes = 0;
  Drain(0, [&](Op op, const std::vector<std::uint64_t>& words) {
    if (op == Op::kMark) bytes = words[1];
  });
  EXPECT_EQ(bytes, format::kMaxVariableBytes);
  GiveSlotBack(thread);
}

}  // namespace
}  // namespace leaktrace::preload
