// Writes traces for tests, event by event, through the same encoders as the recorder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "analyzer/trace/column.h"
#include "analyzer/trace/definitions.h"
#include "analyzer/trace/event_block.h"
#include "analyzer/trace/trace_writer.h"
#include "format/ring.h"
#include "format/trace.capnp.h"

namespace leaktrace::testing {

// Aborts the test program where the file cannot be written.
class SyntheticTrace {
 public:
  static constexpr std::uint64_t kSecond = 1'000'000'000;
  static constexpr std::uint64_t kMillisecond = 1'000'000;
  static constexpr std::uint64_t kExecutableBase = 0x400000;

  // Begins the trace with a header: /app/server of node 24.0.0, pid 4242, and a module for it.
  explicit SyntheticTrace(std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }

  // Frames, from the outermost: Stack({0x1000, 0x2000}) is a call from 0x1000 to 0x2000, offsets in the executable. The
  // same frames have the same id. Returns the innermost frame.
  std::uint32_t Stack(const std::vector<std::uint64_t>& offsets);
  std::uint32_t Frame(std::uint32_t caller, format::FrameKind kind, std::uint64_t value);
  // Gives a frame the name of a JavaScript function.
  void JavaScript(std::uint32_t frame, const std::string& name, const std::string& url, std::uint32_t line);

  std::uint32_t Kind(std::uint32_t stack, std::uint64_t size, format::EntryPoint entry = format::EntryPoint::kMalloc,
                     format::RequestPhase phase = {}, std::uint32_t route = 0, std::uint8_t allocator = 0);
  std::uint32_t MappingKind(std::uint32_t stack);
  std::uint32_t Route(const std::string& route);

  // Time only goes forward.
  void At(std::uint64_t nanoseconds);
  std::uint64_t Allocate(std::uint32_t kind);  // the allocation's number
  void Free(std::uint64_t allocation);
  std::uint64_t Reallocate(std::uint64_t allocation, std::uint32_t kind);
  std::uint64_t Map(std::uint32_t kind, std::uint64_t address, std::uint64_t length);  // the mapping's number
  void Unmap(std::uint64_t mapping, std::uint64_t address, std::uint64_t length);
  void Socket(format::SocketEvent event);
  void Request() { Socket(format::SocketEvent::kRequest); }

  void Phase(const std::string& name);  // a mark
  void Exit();                          // the target begins to exit: a mark
  void Memory(std::uint64_t rss, std::uint64_t live);
  void JsHeap(std::uint64_t used);

  // Chunks of what was collected so far. Called by Finish, and whenever an event chunk is full.
  void Flush();
  struct Allocator {
    std::string name;
    std::uint64_t allocations = 0, frees = 0, unknown_frees = 0, overlaps = 0;
  };
  void Counters(const std::vector<Allocator>& allocators, std::uint64_t dropped = 0, std::uint64_t truncated = 0);
  // Ends without a footer, as when the recorder is killed.
  void Abandon();
  // Writes the footer: `end_kind` as in the schema.
  void Finish(std::uint16_t end_kind = 1, std::int32_t status = 0);

 private:
  struct PendingMark {
    std::uint64_t time, event;
    std::uint16_t kind;
    std::string text;
  };

  template <typename Root, typename Fill>
  void Append(format::ChunkKind kind, Fill&& fill);
  void Room();

  std::string path_;
  std::unique_ptr<trace::TraceWriter> writer_;
  trace::ColumnCompressor compressor_{1};
  trace::FrameEncoder frames_;
  trace::KindEncoder kinds_;
  trace::EventBlockBuilder events_;
  std::vector<std::pair<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t>> known_frames_;
  std::vector<PendingMark> marks_;
  std::vector<std::string> routes_;
  std::uint32_t next_route_ = 1;
  std::uint32_t next_function_ = 1;
  std::uint64_t time_ = 0;
};

}  // namespace leaktrace::testing
