#include "tests/trace/example_trace.h"

#include <capnp/message.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "analyzer/trace/crc32c.h"
#include "analyzer/trace/definitions.h"
#include "analyzer/trace/event_block.h"
#include "analyzer/trace/trace_writer.h"

namespace leaktrace::trace {
namespace {

namespace schema = format::trace;
using format::ChunkKind;

template <typename Schema, typename Fill>
void Append(TraceWriter& writer, ChunkKind kind, Fill&& fill) {
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<Schema>());
  if (!writer.Append(kind, message).ok()) std::abort();
}

void AppendDefinitions(TraceWriter& writer, ColumnCompressor& compressor) {
  FrameEncoder frames;
  frames.Add({.parent = 0, .kind = format::FrameKind::kNative, .value = 0x401000});
  frames.Add({.parent = 1, .kind = format::FrameKind::kNative, .value = 0x402000});
  frames.Add({.parent = 1, .kind = format::FrameKind::kJit, .value = 0x7f0000003000});
  Append<schema::FrameTable>(writer, ChunkKind::kFrames, [&](auto table) { frames.Write(table, compressor); });
  KindEncoder kinds;
  kinds.Add({.stack = 2,
             .size = 64,
             .attributes = {format::EntryPoint::kMalloc, 0, format::RequestPhase::kReceive, 0},
             .route = 1});
  kinds.Add({.stack = 3,
             .size = 0,
             .attributes = {format::EntryPoint::kNew, 0, format::RequestPhase::kNone, KindAttributes::kSizeVaries},
             .route = 0});
  Append<schema::KindTable>(writer, ChunkKind::kKinds, [&](auto table) { kinds.Write(table, compressor); });
}

void AppendEvents(TraceWriter& writer, ColumnCompressor& compressor) {
  EventBlockBuilder events;
  events.SetTime(1'000'000);
  events.Allocate(1);
  events.Allocate(2, 1000);
  const MappingPart part{0, 4096};
  events.Side({.operation = Operation::kMap,
               .address = 0x7f1000000000,
               .length = 8192,
               .kind = 2,
               .protection = 3,
               .flags = 0x22});
  events.Free(0);
  Append<schema::EventBlock>(writer, ChunkKind::kEvents, [&](auto block) { events.Write(block, compressor); });
  events.SetTime(2'000'000);
  events.SetThread(1);
  events.Allocate(1);
  events.Reallocate(2, 2, std::uint64_t{5} << 32);
  events.Side({.operation = Operation::kUnmap, .address = 0x7f1000000000, .length = 4096, .parts = {&part, 1}});
  events.Side(
      {.operation = Operation::kSocket, .descriptor = 7, .socket_event = format::SocketEvent::kRequest, .bytes = 100});
  Append<schema::EventBlock>(writer, ChunkKind::kEvents, [&](auto block) { events.Write(block, compressor); });
}

void AppendRest(TraceWriter& writer) {
  Append<schema::MemorySamples>(writer, ChunkKind::kMemory, [](auto root) {
    auto sample = root.initSamples(1)[0];
    sample.setTime(1'500'000);
    sample.setRss(50 << 20);
    auto category = sample.initCategories(1)[0];
    category.setName("heap");
    category.setRss(10 << 20);
  });
  Append<schema::JsHeapSamples>(writer, ChunkKind::kJsHeap,
                                [](auto root) { root.initSamples(1)[0].setHeapUsed(4 << 20); });
  Append<schema::CodeNames>(writer, ChunkKind::kCode, [](auto root) {
    auto function = root.initFunctions(1)[0];
    function.setId(1);
    function.setName("handler");
    function.setUrl("/srv/app.js");
    function.setLine(12);
    auto name = root.initFrames(1)[0];
    name.setFrame(3);
    name.setFunction(1);
  });
  Append<schema::Counters>(writer, ChunkKind::kCounters, [](auto root) {
    auto allocator = root.initAllocators(1)[0];
    allocator.setName("libc");
    allocator.setAllocations(4);
    allocator.setFrees(2);
  });
  Append<schema::HookMap>(writer, ChunkKind::kHookMap, [](auto root) { root.initAllocators(1).set(0, "mimalloc v3"); });
  Append<schema::SymbolTable>(writer, ChunkKind::kSymbols, [](auto root) {
    auto frame = root.initFrames(1)[0];
    frame.setFrame(1);
    frame.initLines(1)[0].setFunction("main");
  });
  Append<schema::Footer>(writer, ChunkKind::kFooter, [](auto root) {
    root.setEndKind(1);
    root.setEvents(8);
    root.setEndTime(3'000'000);
  });
}

}  // namespace

std::vector<std::uint8_t> ExampleTrace() {
  const int descriptor = memfd_create("example", MFD_CLOEXEC);
  if (descriptor < 0) std::abort();
  TraceWriter writer(dup(descriptor), "example");
  ColumnCompressor compressor(1);
  Append<schema::TraceHeader>(writer, ChunkKind::kHeader, [](auto header) {
    header.setFormatVersion(format::kTraceVersion);
    header.setExecutable("/usr/bin/node");
    header.initArguments(2).set(1, "server.js");
    header.setPid(4242);
    header.setRuntimeName("node");
  });
  Append<schema::ModuleList>(writer, ChunkKind::kModules, [](auto root) {
    auto module = root.initModules(1)[0];
    module.setPath("/usr/bin/node");
    module.setBegin(0x400000);
    module.setEnd(0x500000);
  });
  Append<schema::MarkList>(writer, ChunkKind::kMarks, [](auto root) {
    auto mark = root.initMarks(1)[0];
    mark.setKind(1);
    mark.setText("load");
    root.initRoutes(1).set(0, "GET /health");
    root.initThreads(1)[0].setName("node");
  });
  AppendDefinitions(writer, compressor);
  AppendEvents(writer, compressor);
  AppendRest(writer);
  std::vector<std::uint8_t> bytes(writer.bytes());
  if (pread(descriptor, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
  close(descriptor);
  return bytes;
}

std::vector<std::size_t> ChunkOffsets(const std::vector<std::uint8_t>& bytes) {
  std::vector<std::size_t> offsets;
  for (std::size_t at = 0; at + sizeof(format::ChunkHeader) <= bytes.size();) {
    format::ChunkHeader header;
    std::memcpy(&header, bytes.data() + at, sizeof(header));
    offsets.push_back(at);
    at += sizeof(header) + header.payload_bytes;
  }
  return offsets;
}

std::vector<std::uint8_t> WithVersion(std::vector<std::uint8_t> bytes, std::uint16_t version) {
  for (const std::size_t at : ChunkOffsets(bytes)) {
    format::ChunkHeader header;
    std::memcpy(&header, bytes.data() + at, sizeof(header));
    header.version = version;
    header.header_crc =
        Crc32c({reinterpret_cast<const std::uint8_t*>(&header), offsetof(format::ChunkHeader, header_crc)});
    std::memcpy(bytes.data() + at, &header, sizeof(header));
  }
  return bytes;
}

}  // namespace leaktrace::trace
