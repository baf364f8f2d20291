#include "tests/fuzz/trace_reader_fuzz.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "analyzer/read/trace_reader.h"
#include "analyzer/trace/chunk.h"

namespace leaktrace::read {
namespace {

void Require(bool promise, const char* what) {
  if (promise) return;
  std::fprintf(stderr, "the reader broke a promise: %s\n", what);
  std::abort();
}

class Checker : public TraceVisitor {
 public:
  void OnFrames(const FrameBatch& batch) override {
    Require(batch.first_id == next_frame_, "frames are dense");
    for (std::size_t i = 0; i < batch.parents.size(); ++i) {
      Require(batch.parents[i] < batch.first_id + i, "a parent comes before its frame");
    }
    Require(batch.values.size() == batch.parents.size() && batch.kinds.size() == batch.parents.size() &&
                batch.auxiliaries.size() == batch.parents.size(),
            "columns of frames have one length");
    next_frame_ += static_cast<std::uint32_t>(batch.parents.size());
  }
  void OnKinds(const KindBatch& batch) override {
    Require(batch.first_id == next_kind_, "kinds are dense");
    for (const std::uint32_t stack : batch.stacks) Require(stack < next_frame_, "a kind's stack is known");
    next_kind_ += static_cast<std::uint32_t>(batch.stacks.size());
  }
  void OnEvents(const EventBatch& batch) override {
    Require(batch.first_event >= next_event_, "events are numbered upwards");
    next_event_ = batch.first_event + batch.operations.size();
    ForEachEvent(batch, [this](const Event& event) {
      Require(event.kind < next_kind_ && event.released_kind < next_kind_, "an event's kind is known");
      if (event.side == nullptr) return;
      Require(event.side->kind < next_kind_, "a mapping's kind is known");
      for (const MappingPart& part : event.side->parts) bytes_ += part.bytes;
    });
  }
  void OnHeader(format::trace::TraceHeader::Reader header) override {
    bytes_ += header.getExecutable().size();
    for (const auto argument : header.getArguments()) bytes_ += argument.size();
  }
  void OnModules(format::trace::ModuleList::Reader list) override {
    for (const auto module : list.getModules()) bytes_ += module.getPath().size() + module.getBuildId().size();
  }
  void OnMarks(format::trace::MarkList::Reader list) override {
    for (const auto mark : list.getMarks()) bytes_ += mark.getText().size();
    for (const auto route : list.getRoutes()) bytes_ += route.size();
  }
  void OnMemory(format::trace::MemorySamples::Reader samples) override {
    for (const auto sample : samples.getSamples()) {
      for (const auto category : sample.getCategories()) bytes_ += category.getName().size();
    }
  }
  void OnCode(format::trace::CodeNames::Reader names) override {
    for (const auto function : names.getFunctions()) bytes_ += function.getName().size();
  }
  void OnLiveBlocks(absl::Span<const LiveBlock> blocks) override {
    for (const LiveBlock& block : blocks)
      Require(block.kind != kLostKind && block.kind < next_kind_, "a live block's kind is known");
  }

 private:
  std::uint32_t next_frame_ = 1, next_kind_ = 1;
  std::uint64_t next_event_ = 0;
  std::size_t bytes_ = 0;
};

void Read(absl::Span<const std::uint8_t> bytes) {
  Checker checker;
  const auto summary = ReadTraceBytes(bytes, "fuzz", checker);
  if (!summary.ok()) return;
  Require(summary->damage.size() <= kMaxDamageEntries, "the list of damage is bounded");
  for (const Damage& damage : summary->damage) Require(!DescribeDamage("fuzz", damage).empty(), "damage is described");
}

// Gives every chunk that the bytes seem to hold its right checksums.
void RepairChecksums(std::vector<std::uint8_t>& bytes) {
  for (std::size_t at = 0; at + sizeof(format::ChunkHeader) <= bytes.size();) {
    format::ChunkHeader header;
    std::memcpy(&header, bytes.data() + at, sizeof(header));
    const std::size_t body = at + sizeof(header);
    const std::size_t payload = std::min<std::size_t>(header.payload_bytes / 8 * 8, (bytes.size() - body) / 8 * 8);
    auto repaired = trace::MakeChunkHeader(static_cast<format::ChunkKind>(header.kind), header.sequence,
                                           absl::MakeConstSpan(bytes).subspan(body, payload));
    std::memcpy(bytes.data() + at, &repaired, sizeof(repaired));
    at = body + payload;
  }
}

}  // namespace

void FuzzTraceReader(const std::uint8_t* data, std::size_t size) {
  Read({data, size});
  std::vector<std::uint8_t> repaired(data, data + size);
  RepairChecksums(repaired);
  Read(repaired);
}

}  // namespace leaktrace::read
