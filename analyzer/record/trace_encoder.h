// Collects what goes into the trace and writes it as chunks, definitions before the events that use them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "analyzer/js/code_map.h"
#include "analyzer/record/code_writer.h"
#include "analyzer/trace/column.h"
#include "analyzer/trace/definitions.h"
#include "analyzer/trace/event_block.h"
#include "analyzer/trace/trace_writer.h"

namespace leaktrace::record {

struct ModuleEntry {
  std::uint64_t load_address = 0, begin = 0, end = 0, text_begin = 0, text_end = 0;
  std::string path;
  std::vector<std::uint8_t> build_id;
  std::uint64_t time = 0;
  bool unloaded = false;
  std::uint32_t unwind_rows = 0, unwind_unsupported = 0;
};

struct MarkEntry {
  std::uint64_t time = 0;
  std::uint16_t kind = 0;
  std::uint16_t source = 0;
  std::string text;
  std::int64_t value = 0;
};

struct ThreadEntry {
  std::uint32_t index = 0, tid = 0;
  std::string name;
  std::uint64_t start_time = 0, end_time = 0;
};

// Who set a mark.
inline constexpr std::uint16_t kMarkByRecorder = 0, kMarkByAgent = 1, kMarkByCommand = 2;
// A mark that the library sends as a process event has this kind plus its ProcessEvent.
inline constexpr std::uint16_t kProcessMarkBase = 15;

// One thread. Once a write has failed nothing more is written but the footer; status() says why.
class TraceEncoder {
 public:
  TraceEncoder(std::unique_ptr<trace::TraceWriter> writer, int level);

  [[nodiscard]] trace::EventBlockBuilder& events() { return events_; }
  [[nodiscard]] trace::FrameEncoder& frames() { return frames_; }
  [[nodiscard]] trace::KindEncoder& kinds() { return kinds_; }

  void AddModule(ModuleEntry module);
  void AddMark(MarkEntry mark);
  void AddThread(ThreadEntry thread);
  void AddRoute(std::string route);
  [[nodiscard]] CodeWriter& code() { return code_; }

  // Writes the collected definitions and events where there are enough for a chunk. To be called every few hundred
  // events.
  void FlushIfFull(const js::CodeMap& code);
  // Writes everything that was collected.
  void Flush(const js::CodeMap& code);

  // Writes one chunk as it is.
  void Write(format::ChunkKind kind, capnp::MessageBuilder& message);
  // Tries even after a failure: what was taken back of a chunk that did not fit may leave room.
  absl::Status WriteFooter(capnp::MessageBuilder& message);

  [[nodiscard]] const absl::Status& status() const { return status_; }
  [[nodiscard]] std::uint64_t chunks() const { return writer_->chunks(); }
  [[nodiscard]] std::uint64_t bytes() const { return writer_->bytes(); }

 private:
  struct PendingModule {
    ModuleEntry module;
    std::uint32_t first_frame;
  };
  struct PendingMark {
    MarkEntry mark;
    std::uint64_t event;
  };

  void WriteModules();
  void WriteFrames();
  void WriteKinds();
  void WriteMarks();
  void WriteCode(const js::CodeMap& code);
  void WriteEvents();

  std::unique_ptr<trace::TraceWriter> writer_;
  trace::ColumnCompressor compressor_;
  trace::EventBlockBuilder events_;
  trace::FrameEncoder frames_;
  trace::KindEncoder kinds_;
  std::vector<PendingModule> modules_;
  std::vector<PendingMark> marks_;
  std::vector<ThreadEntry> threads_;
  std::vector<std::string> routes_;
  CodeWriter code_;
  absl::Status status_;
};

}  // namespace leaktrace::record
