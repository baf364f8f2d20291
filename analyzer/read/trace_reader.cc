#include "analyzer/read/trace_reader.h"

#include <capnp/serialize.h>
#include <kj/exception.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzer/read/chunk_scanner.h"
#include "analyzer/read/event_decoder.h"
#include "analyzer/trace/definitions.h"

namespace leaktrace::read {
namespace {

using format::ChunkKind;

// Ids are dense, so that a visitor may keep what they mean in arrays; these bounds keep a damaged id from making the
// arrays huge.
constexpr std::uint32_t kMaxIds = 1u << 26;
constexpr std::uint32_t kMaxLostIds = 1u << 22;

bool SkipsNothing(ChunkKind) { return false; }
bool IsEventData(ChunkKind kind) {
  return kind == ChunkKind::kEvents || kind == ChunkKind::kFrames || kind == ChunkKind::kKinds;
}

// Reads the chunks of one file and hands on what they hold.
class Reading {
 public:
  Reading(ChunkScanner& scanner, const std::string& name, TraceVisitor& visitor, const ReadOptions& options)
      : scanner_(scanner), name_(name), visitor_(visitor), options_(options) {}

  absl::StatusOr<ReadSummary> Run();

 private:
  // False: the payload is not what its kind says.
  bool Deliver(ChunkKind kind, capnp::MessageReader& message);
  bool DeliverFrames(format::trace::FrameTable::Reader table);
  bool DeliverKinds(format::trace::KindTable::Reader table);
  bool DeliverEvents(format::trace::EventBlock::Reader block);
  bool DeliverChunk(const ScannedChunk& chunk);
  // False: these ids cannot be, or too many before them are lost.
  bool AcceptIds(std::uint32_t first, std::uint32_t count, std::uint32_t next);
  void AddDamage(std::uint64_t byte, std::uint64_t chunk, std::string what);
  void CountLost(std::uint64_t first_event);
  void DeliverLiveBlocks();

  ChunkScanner& scanner_;
  const std::string& name_;
  TraceVisitor& visitor_;
  const ReadOptions& options_;
  ReadSummary summary_;
  trace::ColumnDecompressor decompressor_;
  trace::FrameColumns frames_;
  trace::KindColumns kinds_;
  EventDecoder events_;
  bool header_seen_ = false;
  std::uint32_t next_frame_ = 1, next_kind_ = 1;
  std::uint32_t lost_ids_ = 0;
  std::uint64_t next_chunk_ = 0;
  std::uint64_t next_event_ = 0;
  // Damage since the last events: how many were lost is known when the next ones are read.
  std::size_t open_damage_ = 0;
};

void Reading::AddDamage(std::uint64_t byte, std::uint64_t chunk, std::string what) {
  ++summary_.damaged;
  if (summary_.damage.size() < kMaxDamageEntries) summary_.damage.push_back({byte, chunk, 0, std::move(what)});
}

void Reading::CountLost(std::uint64_t first_event) {
  if (first_event > next_event_ && options_.events) {
    summary_.events_lost += first_event - next_event_;
    if (open_damage_ < summary_.damage.size()) summary_.damage[open_damage_].events_lost = first_event - next_event_;
  }
  open_damage_ = summary_.damage.size();
}

bool Reading::AcceptIds(std::uint32_t first, std::uint32_t count, std::uint32_t next) {
  if (first < next || first - next > kMaxLostIds - lost_ids_ || first > kMaxIds - count) return false;
  lost_ids_ += first - next;
  return true;
}

bool Reading::DeliverFrames(format::trace::FrameTable::Reader table) {
  if (!trace::DecodeFrames(table, decompressor_, frames_) ||
      !AcceptIds(table.getFirstId(), table.getCount(), next_frame_))
    return false;
  if (table.getFirstId() > next_frame_) {
    const std::size_t lost = table.getFirstId() - next_frame_;
    const std::vector<std::uint32_t> zeroes(lost);
    const std::vector<std::uint64_t> values(lost);
    const std::vector<format::FrameKind> kinds(lost, format::FrameKind::kBroken);
    visitor_.OnFrames({next_frame_, zeroes, kinds, values, zeroes});
  }
  next_frame_ = table.getFirstId() + table.getCount();
  visitor_.OnFrames({table.getFirstId(), frames_.parents, frames_.kinds, frames_.values, frames_.auxiliaries});
  return true;
}

bool Reading::DeliverKinds(format::trace::KindTable::Reader table) {
  if (!trace::DecodeKinds(table, decompressor_, kinds_) || !AcceptIds(table.getFirstId(), table.getCount(), next_kind_))
    return false;
  if (table.getFirstId() > next_kind_) {
    const std::uint32_t lost = table.getFirstId() - next_kind_;
    const std::vector<std::uint32_t> zeroes(lost);
    const std::vector<std::uint64_t> sizes(lost);
    const std::vector<trace::KindAttributes> attributes(lost);
    visitor_.OnKinds({next_kind_, zeroes, sizes, attributes, zeroes});
    events_.AddLostKinds(lost);
  }
  // The frames of a stack that is not there were lost with their chunk.
  for (std::uint32_t& stack : kinds_.stacks) stack = stack < next_frame_ ? stack : 0;
  next_kind_ = table.getFirstId() + table.getCount();
  events_.AddKinds(kinds_);
  visitor_.OnKinds({table.getFirstId(), kinds_.stacks, kinds_.sizes, kinds_.attributes, kinds_.routes});
  return true;
}

bool Reading::DeliverEvents(format::trace::EventBlock::Reader block) {
  EventBatch batch;
  if (block.getFirstEvent() < next_event_ || !events_.Decode(block, decompressor_, batch)) return false;
  CountLost(batch.first_event);
  next_event_ = batch.first_event + batch.operations.size();
  summary_.events += batch.operations.size();
  visitor_.OnEvents(batch);
  return true;
}

bool Reading::Deliver(ChunkKind kind, capnp::MessageReader& message) {
  namespace schema = format::trace;
  switch (kind) {
    case ChunkKind::kHeader:
      if (header_seen_) return false;
      header_seen_ = true;
      visitor_.OnHeader(message.getRoot<schema::TraceHeader>());
      return true;
    case ChunkKind::kModules:
      visitor_.OnModules(message.getRoot<schema::ModuleList>());
      return true;
    case ChunkKind::kFrames:
      return DeliverFrames(message.getRoot<schema::FrameTable>());
    case ChunkKind::kKinds:
      return DeliverKinds(message.getRoot<schema::KindTable>());
    case ChunkKind::kEvents:
      return DeliverEvents(message.getRoot<schema::EventBlock>());
    case ChunkKind::kMarks:
      visitor_.OnMarks(message.getRoot<schema::MarkList>());
      return true;
    case ChunkKind::kMemory:
      visitor_.OnMemory(message.getRoot<schema::MemorySamples>());
      return true;
    case ChunkKind::kJsHeap:
      visitor_.OnJsHeap(message.getRoot<schema::JsHeapSamples>());
      return true;
    case ChunkKind::kCode:
      visitor_.OnCode(message.getRoot<schema::CodeNames>());
      return true;
    case ChunkKind::kCounters:
      visitor_.OnCounters(message.getRoot<schema::Counters>());
      return true;
    case ChunkKind::kHookMap:
      visitor_.OnHookMap(message.getRoot<schema::HookMap>());
      return true;
    case ChunkKind::kFooter: {
      const auto footer = message.getRoot<schema::Footer>();
      CountLost(footer.getEvents());
      next_event_ = std::max(next_event_, footer.getEvents());
      summary_.complete = true;
      visitor_.OnFooter(footer);
      return true;
    }
    case ChunkKind::kSymbols:
      visitor_.OnSymbols(message.getRoot<schema::SymbolTable>());
      return true;
  }
  ++summary_.unknown_chunks;
  return true;
}

bool Reading::DeliverChunk(const ScannedChunk& chunk) {
  capnp::ReaderOptions limits;
  // Nothing in a chunk is reached more than a few times; many pointers to one object would be an amplification.
  limits.traversalLimitInWords = 4 * chunk.payload.size() + 1024;
  limits.nestingLimit = 16;
  try {
    capnp::FlatArrayMessageReader message(kj::arrayPtr(chunk.payload.data(), chunk.payload.size()), limits);
    return Deliver(chunk.kind, message);
  } catch (const kj::Exception&) {
    // Cap'n Proto's way to say that a message breaks its encoding.
    return false;
  }
}

void Reading::DeliverLiveBlocks() {
  constexpr std::size_t kBatch = 4096;
  std::vector<LiveBlock> blocks;
  blocks.reserve(kBatch);
  events_.live().ForEach([&](std::uint64_t number, std::uint32_t kind, std::uint64_t size) {
    blocks.push_back({number, size, kind});
    if (blocks.size() < kBatch) return;
    visitor_.OnLiveBlocks(blocks);
    blocks.clear();
  });
  if (!blocks.empty()) visitor_.OnLiveBlocks(blocks);
}

absl::StatusOr<ReadSummary> Reading::Run() {
  summary_.bytes = scanner_.file_bytes();
  ScannedChunk chunk;
  while (scanner_.Next(chunk)) {
    if (chunk.version > format::kTraceVersion) {
      if (!header_seen_) {
        return absl::InvalidArgumentError(absl::StrCat(name_, ": format version ", chunk.version,
                                                       " is newer than this leaktrace reads (", format::kTraceVersion,
                                                       "): use the leaktrace that recorded it, or a newer one"));
      }
      AddDamage(chunk.byte, chunk.sequence, absl::StrCat("format version ", chunk.version, " is not known"));
      continue;
    }
    if (!chunk.damage.empty()) {
      AddDamage(chunk.byte, chunk.sequence, std::string(chunk.damage));
    } else {
      if (chunk.sequence > next_chunk_ && open_damage_ == summary_.damage.size()) {
        AddDamage(chunk.byte, next_chunk_,
                  absl::StrCat(chunk.sequence - next_chunk_, " chunks are missing before this byte"));
      }
      if ((!options_.events && IsEventData(chunk.kind)) || DeliverChunk(chunk)) {
        ++summary_.chunks;
      } else {
        AddDamage(chunk.byte, chunk.sequence, "its content is damaged");
      }
    }
    next_chunk_ = chunk.sequence + 1;
    if (options_.progress) options_.progress(scanner_.position(), scanner_.file_bytes());
  }
  if (!scanner_.status().ok()) return scanner_.status();
  summary_.being_written = scanner_.being_written();
  if (summary_.chunks == 0) {
    return absl::InvalidArgumentError(absl::StrCat(name_, ": not a leaktrace trace (no chunk of one is in it)"));
  }
  if (options_.events) DeliverLiveBlocks();
  return std::move(summary_);
}

absl::StatusOr<ReadSummary> Read(ChunkScanner& scanner, const std::string& name, TraceVisitor& visitor,
                                 const ReadOptions& options) {
  return Reading(scanner, name, visitor, options).Run();
}

std::string WithSeparators(std::uint64_t number) {
  const std::string digits = absl::StrCat(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) text.push_back(',');
    text.push_back(digits[i]);
  }
  return text;
}

}  // namespace

absl::StatusOr<ReadSummary> ReadTrace(const std::string& path, TraceVisitor& visitor, const ReadOptions& options) {
  auto source = FileSource::Open(path);
  if (!source.ok()) return source.status();
  ChunkScanner scanner(**source, options.events ? SkipsNothing : IsEventData);
  return Read(scanner, path, visitor, options);
}

absl::StatusOr<ReadSummary> ReadTraceBytes(absl::Span<const std::uint8_t> bytes, const std::string& name,
                                           TraceVisitor& visitor, const ReadOptions& options) {
  MemorySource source(bytes);
  ChunkScanner scanner(source, options.events ? SkipsNothing : IsEventData);
  return Read(scanner, name, visitor, options);
}

std::string DescribeDamage(const std::string& path, const Damage& damage) {
  std::string text = absl::StrCat(path, ": chunk ", WithSeparators(damage.chunk), " at byte ",
                                  WithSeparators(damage.byte), ": ", damage.what);
  if (damage.events_lost != 0) absl::StrAppend(&text, "; ", WithSeparators(damage.events_lost), " events lost");
  return absl::StrCat(text, damage.events_lost != 0 ? ", the rest was read" : "; the rest was read");
}

}  // namespace leaktrace::read
