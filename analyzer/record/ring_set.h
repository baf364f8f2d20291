// Reads the rings of all threads as one stream in the order of the stamps (format/ring.h, "Order of events").
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "analyzer/record/session.h"
#include "format/ring.h"

namespace leaktrace::record {

// A record that was taken from a ring. Its words stay in the ring until Release.
struct StagedRecord {
  std::uint64_t word0 = 0, word1 = 0, word2 = 0;  // those that it has; whatever is in the ring beyond
  std::uint64_t position = 0;                     // of word 0, in words since the slot was first used
  std::uint32_t ring = 0;
  std::uint32_t words = 0;  // all of it

  [[nodiscard]] format::Op op() const { return static_cast<format::Op>(word0 & 0xff); }
  [[nodiscard]] std::uint64_t stamp() const { return word0 >> 8; }
};

// One thread. A ring whose words make no sense is read no further: it counts as damaged and what comes is passed over.
class RingSet {
 public:
  explicit RingSet(const Session& session);

  // Begins a pass over what is published now and stamped below the watermark, which must have been taken before.
  void BeginPass(std::uint64_t watermark);

  // The next records in the order of their stamps, as many as there is room for; 0 when the pass is over.
  [[nodiscard]] std::size_t Stage(absl::Span<StagedRecord> records);

  // Gives the words of all staged records back to their threads, and slots of threads that have ended to new ones.
  void Release();

  // Word `index` of the record.
  [[nodiscard]] std::uint64_t Word(const StagedRecord& record, std::uint32_t index) const {
    return rings_[record.ring].words[(record.position + index) & mask_];
  }
  // Copies what follows word 1 of a variable record into `bytes`.
  void CopyVariable(const StagedRecord& record, std::vector<std::uint8_t>& bytes) const;

  // Rings that were seen so far: records name rings below this.
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(rings_.size()); }
  [[nodiscard]] std::uint32_t damaged_rings() const { return damaged_; }
  // True when a ring held so much at the last BeginPass that its thread may have to wait.
  [[nodiscard]] bool busy() const { return busy_; }

 private:
  struct Ring {
    format::ThreadSlot* slot;
    const std::uint64_t* words;
    std::uint64_t tail = 0;  // next word to stage; the slot's tail follows it at Release
    std::uint64_t head = 0;  // as of BeginPass
    bool damaged = false;
  };
  // A ring with its next stamp, in a heap with the smallest stamp at the front.
  struct Next {
    std::uint64_t stamp;
    std::uint32_t ring;

    friend bool operator<(const Next& a, const Next& b) {
      return a.stamp > b.stamp || (a.stamp == b.stamp && a.ring > b.ring);
    }
  };

  // True when the ring's next record is whole and stamped below the watermark; its stamp.
  bool PeekStamp(Ring& ring, std::uint64_t& stamp);
  // Length of the record at the ring's tail in words; 0 when it makes no sense.
  [[nodiscard]] std::uint32_t RecordWords(const Ring& ring, std::uint64_t word0) const;
  void GiveUp(Ring& ring);

  const Session& session_;
  std::uint64_t mask_;
  std::uint64_t watermark_ = 0;
  std::vector<Ring> rings_;
  std::vector<Next> heap_;
  std::uint32_t damaged_ = 0;
  bool busy_ = false;
};

}  // namespace leaktrace::record
