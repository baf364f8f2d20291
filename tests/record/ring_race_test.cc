// Several threads write their rings while the recorder's side reads them; meant for ThreadSanitizer, and right without.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "analyzer/record/ring_set.h"
#include "tests/record/fake_session.h"

namespace leaktrace::record {
namespace {

using format::Op;

constexpr std::uint32_t kThreads = 4;
constexpr std::uint32_t kSteps = 20'000;

// An allocator of a few addresses that all threads share, with the library's order of stamps: a release is stamped and
// published before it, an acquisition is stamped after it and published before the hook returns.
class Pool {
 public:
  std::uint64_t Take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return 0;
    const std::uint64_t address = free_.back();
    free_.pop_back();
    return address;
  }
  void Give(std::uint64_t address) {
    const std::lock_guard lock(mutex_);
    free_.push_back(address);
  }

 private:
  std::mutex mutex_;
  std::vector<std::uint64_t> free_ = {0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000};
};

TEST(RingRace, EveryAddressIsAllocatedAndFreedInTurn) {
  FakeSession fake(FakeSession::Options{.clock = format::ClockKind::kSequence});
  const Session session = *Session::Map(fake.descriptor());
  std::atomic<std::uint64_t>& sequence = session.header().sequence;
  Pool pool;
  std::atomic<std::uint32_t> running{kThreads};
  std::vector<std::thread> producers;
  for (std::uint32_t index = 0; index < kThreads; ++index) {
    FakeThread writer = fake.ThreadIn(session, index);
    producers.emplace_back([&, writer]() mutable {
      for (std::uint32_t step = 0; step < kSteps; ++step) {
        const std::uint64_t address = pool.Take();
        if (address == 0) continue;
        writer.Alloc(sequence.fetch_add(1), address, step);
        writer.Free(sequence.fetch_add(1), address);
        pool.Give(address);
      }
      --running;
    });
  }
  RingSet rings(session);
  std::array<std::uint64_t, 7> live{};  // by address; 1 + the ring that has it
  std::uint64_t wrong = 0, records = 0, watermark = 0;
  while (watermark != ~std::uint64_t{0}) {
    const bool last = running.load() == 0;
    watermark = last ? ~std::uint64_t{0} : sequence.load();
    rings.BeginPass(watermark);
    std::array<StagedRecord, 64> staged;
    while (const std::size_t count = rings.Stage(absl::MakeSpan(staged))) {
      for (const StagedRecord& record : absl::MakeConstSpan(staged).first(count)) {
        std::uint64_t& owner = live[format::BlockWord::Address(record.word1) >> 12];
        const bool right = record.op() == Op::kAlloc ? owner == 0 : owner == record.ring + 1;
        wrong += right ? 0 : 1;
        owner = record.op() == Op::kAlloc ? record.ring + 1 : 0;
        ++records;
      }
    }
    rings.Release();
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(records, 0);
  EXPECT_EQ(rings.damaged_rings(), 0);
}

}  // namespace
}  // namespace leaktrace::record
