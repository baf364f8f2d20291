#include "tests/model/synthetic_trace.h"

#include <capnp/message.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace leaktrace::testing {

using format::ChunkKind;
using format::FrameKind;
using trace::Operation;

namespace {

constexpr std::uint16_t kExitMark = 19;

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::abort();
}

}  // namespace

template <typename Root, typename Fill>
void SyntheticTrace::Append(ChunkKind kind, Fill&& fill) {
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<Root>());
  Require(writer_->Append(kind, message));
}

SyntheticTrace::SyntheticTrace(std::string path) : path_(std::move(path)) {
  absl::StatusOr<std::unique_ptr<trace::TraceWriter>> writer = trace::TraceWriter::Create(path_);
  Require(writer.status());
  writer_ = *std::move(writer);
  Append<format::trace::TraceHeader>(ChunkKind::kHeader, [](format::trace::TraceHeader::Builder header) {
    header.setFormatVersion(format::kTraceVersion);
    header.setExecutable("/app/server");
    auto arguments = header.initArguments(2);
    arguments.set(0, "server");
    arguments.set(1, "--port=0");
    header.setPid(4242);
    header.setRuntimeName("node");
    header.setRuntimeVersion("24.0.0");
    header.setStartRealtime(1'700'000'000 * kSecond);
    header.setClock("tsc");
    header.setPageSize(4096);
    header.setCpus(2);
  });
  Append<format::trace::ModuleList>(ChunkKind::kModules, [](format::trace::ModuleList::Builder list) {
    auto module = list.initModules(1)[0];
    module.setLoadAddress(kExecutableBase);
    module.setBegin(kExecutableBase);
    module.setEnd(kExecutableBase + 0x1000000);
    module.setTextBegin(kExecutableBase);
    module.setTextEnd(kExecutableBase + 0x1000000);
    module.setPath("/app/server");
  });
}

std::uint32_t SyntheticTrace::Frame(std::uint32_t caller, FrameKind kind, std::uint64_t value) {
  const auto key = std::make_pair(caller, format::FrameWord::Pack(kind, value));
  for (const auto& [known, id] : known_frames_) {
    if (known == key) return id;
  }
  const std::uint32_t id = frames_.Add({.parent = caller, .kind = kind, .value = value});
  known_frames_.emplace_back(key, id);
  return id;
}

std::uint32_t SyntheticTrace::Stack(const std::vector<std::uint64_t>& offsets) {
  std::uint32_t frame = 0;
  for (const std::uint64_t offset : offsets) frame = Frame(frame, FrameKind::kNative, kExecutableBase + offset);
  return frame;
}

void SyntheticTrace::JavaScript(std::uint32_t frame, const std::string& name, const std::string& url,
                                std::uint32_t line) {
  Append<format::trace::CodeNames>(ChunkKind::kCode, [&](format::trace::CodeNames::Builder code) {
    auto function = code.initFunctions(1)[0];
    function.setId(next_function_);
    function.setName(name);
    function.setUrl(url);
    function.setLine(line);
    auto entry = code.initFrames(1)[0];
    entry.setFrame(frame);
    entry.setFunction(next_function_);
    entry.setPosition(-1);
  });
  ++next_function_;
}

std::uint32_t SyntheticTrace::Kind(std::uint32_t stack, std::uint64_t size, format::EntryPoint entry,
                                   format::RequestPhase phase, std::uint32_t route, std::uint8_t allocator) {
  return kinds_.Add({.stack = stack,
                     .size = size,
                     .attributes = {.entry = entry, .allocator = allocator, .phase = phase},
                     .route = route});
}

std::uint32_t SyntheticTrace::MappingKind(std::uint32_t stack) {
  return kinds_.Add({.stack = stack,
                     .size = 0,
                     .attributes = {.entry = format::EntryPoint::kMmap, .flags = trace::KindAttributes::kSizeVaries}});
}

std::uint32_t SyntheticTrace::Route(const std::string& route) {
  routes_.push_back(route);
  return next_route_++;
}

void SyntheticTrace::At(std::uint64_t nanoseconds) {
  time_ = std::max(time_, nanoseconds);
  events_.SetTime(time_);
}

void SyntheticTrace::Room() {
  if (events_.pending() >= trace::kMaxBlockEvents / 4) Flush();
}

std::uint64_t SyntheticTrace::Allocate(std::uint32_t kind) {
  Room();
  return events_.Allocate(kind);
}

void SyntheticTrace::Free(std::uint64_t allocation) {
  Room();
  events_.Free(allocation);
}

std::uint64_t SyntheticTrace::Reallocate(std::uint64_t allocation, std::uint32_t kind) {
  Room();
  return events_.Reallocate(allocation, kind);
}

std::uint64_t SyntheticTrace::Map(std::uint32_t kind, std::uint64_t address, std::uint64_t length) {
  Room();
  trace::SideRecord record;
  record.operation = Operation::kMap;
  record.address = address;
  record.length = length;
  record.kind = kind;
  const std::uint64_t number = events_.next_mapping();
  events_.Side(record);
  return number;
}

void SyntheticTrace::Unmap(std::uint64_t mapping, std::uint64_t address, std::uint64_t length) {
  Room();
  trace::SideRecord record;
  record.operation = Operation::kUnmap;
  record.address = address;
  record.length = length;
  const trace::MappingPart part{.mapping = mapping, .bytes = length};
  record.parts = absl::MakeConstSpan(&part, 1);
  events_.Side(record);
}

void SyntheticTrace::Socket(format::SocketEvent event) {
  Room();
  trace::SideRecord record;
  record.operation = Operation::kSocket;
  record.descriptor = 7;
  record.socket_event = event;
  events_.Side(record);
}

void SyntheticTrace::Phase(const std::string& name) {
  marks_.push_back({time_, events_.next_event(), static_cast<std::uint16_t>(format::MarkKind::kPhase), name});
}

void SyntheticTrace::Exit() { marks_.push_back({time_, events_.next_event(), kExitMark, ""}); }

void SyntheticTrace::Memory(std::uint64_t rss, std::uint64_t live) {
  Append<format::trace::MemorySamples>(ChunkKind::kMemory, [&](format::trace::MemorySamples::Builder list) {
    auto sample = list.initSamples(1)[0];
    sample.setTime(time_);
    sample.setEvent(events_.next_event());
    sample.setRss(rss);
    sample.setLiveBytes(live);
  });
}

void SyntheticTrace::JsHeap(std::uint64_t used) {
  Append<format::trace::JsHeapSamples>(ChunkKind::kJsHeap, [&](format::trace::JsHeapSamples::Builder list) {
    auto sample = list.initSamples(1)[0];
    sample.setTime(time_);
    sample.setEvent(events_.next_event());
    sample.setHeapUsed(used);
    sample.setHeapTotal(UINT64_MAX);
    sample.setExternal(UINT64_MAX);
    sample.setArrayBuffers(UINT64_MAX);
    sample.setRss(UINT64_MAX);
  });
}

void SyntheticTrace::Flush() {
  if (frames_.pending() != 0) {
    Append<format::trace::FrameTable>(ChunkKind::kFrames, [this](auto table) { frames_.Write(table, compressor_); });
  }
  if (kinds_.pending() != 0) {
    Append<format::trace::KindTable>(ChunkKind::kKinds, [this](auto table) { kinds_.Write(table, compressor_); });
  }
  if (events_.pending() != 0) {
    Append<format::trace::EventBlock>(ChunkKind::kEvents, [this](auto block) { events_.Write(block, compressor_); });
  }
  if (marks_.empty() && routes_.empty()) return;
  Append<format::trace::MarkList>(ChunkKind::kMarks, [this](format::trace::MarkList::Builder list) {
    auto marks = list.initMarks(static_cast<unsigned>(marks_.size()));
    for (unsigned i = 0; i < marks_.size(); ++i) {
      marks[i].setTime(marks_[i].time);
      marks[i].setEvent(marks_[i].event);
      marks[i].setKind(marks_[i].kind);
      marks[i].setText(marks_[i].text);
    }
    auto routes = list.initRoutes(static_cast<unsigned>(routes_.size()));
    for (unsigned i = 0; i < routes_.size(); ++i) routes.set(i, routes_[i]);
  });
  marks_.clear();
  routes_.clear();
}

void SyntheticTrace::Counters(const std::vector<Allocator>& allocators, std::uint64_t dropped,
                              std::uint64_t truncated) {
  Append<format::trace::Counters>(ChunkKind::kCounters, [&](format::trace::Counters::Builder counters) {
    counters.setTime(time_);
    counters.setDropped(dropped);
    counters.setTruncatedStacks(truncated);
    counters.setThreads(3);
    auto list = counters.initAllocators(static_cast<unsigned>(allocators.size()));
    for (unsigned i = 0; i < allocators.size(); ++i) {
      list[i].setName(allocators[i].name);
      list[i].setAllocations(allocators[i].allocations);
      list[i].setFrees(allocators[i].frees);
      list[i].setUnknownFrees(allocators[i].unknown_frees);
      list[i].setOverlaps(allocators[i].overlaps);
      list[i].setComplete(true);
      list[i].setState("hooked");
    }
  });
}

void SyntheticTrace::Abandon() {
  Flush();
  writer_.reset();
}

void SyntheticTrace::Finish(std::uint16_t end_kind, std::int32_t status) {
  Flush();
  Append<format::trace::Footer>(ChunkKind::kFooter, [&](format::trace::Footer::Builder footer) {
    footer.setEndKind(end_kind);
    footer.setStatus(status);
    footer.setEndTime(time_);
    footer.setEvents(events_.next_event());
    footer.setChunks(writer_->chunks());
    footer.setRecorderCpu(5 * kMillisecond);
    footer.setRecorderPeakRss(20 << 20);
  });
  writer_.reset();
}

}  // namespace leaktrace::testing
