#include "analyzer/record/trace_encoder.h"

#include <capnp/message.h>

#include <utility>

#include "analyzer/trace/capnp_data.h"

namespace leaktrace::record {
namespace {

namespace schema = format::trace;
using format::ChunkKind;

// A block is worth its own header, columns and compression tables, and still little memory.
constexpr std::uint32_t kFullBlockEvents = 1 << 17;
constexpr std::size_t kFullBlockBytes = 2u << 20;
constexpr std::uint32_t kFullTable = trace::kMaxTableEntries / 2;
static_assert(kFullBlockEvents < trace::kMaxBlockEvents);

}  // namespace

TraceEncoder::TraceEncoder(std::unique_ptr<trace::TraceWriter> writer, int level)
    : writer_(std::move(writer)), compressor_(level) {}

void TraceEncoder::AddModule(ModuleEntry module) { modules_.push_back({std::move(module), frames_.next_id()}); }
void TraceEncoder::AddMark(MarkEntry mark) { marks_.push_back({std::move(mark), events_.next_event()}); }
void TraceEncoder::AddThread(ThreadEntry thread) { threads_.push_back(std::move(thread)); }
void TraceEncoder::AddRoute(std::string route) { routes_.push_back(std::move(route)); }

void TraceEncoder::FlushIfFull(const js::CodeMap& code) {
  if (events_.pending() >= kFullBlockEvents || events_.pending_bytes() >= kFullBlockBytes ||
      frames_.pending() >= kFullTable || kinds_.pending() >= kFullTable) {
    Flush(code);
  }
}

void TraceEncoder::Flush(const js::CodeMap& code) {
  if (!modules_.empty()) WriteModules();
  if (frames_.pending() != 0) WriteFrames();
  if (!code_.empty()) WriteCode(code);
  if (kinds_.pending() != 0) WriteKinds();
  if (!marks_.empty() || !threads_.empty() || !routes_.empty()) WriteMarks();
  if (events_.pending() != 0) WriteEvents();
}

void TraceEncoder::Write(ChunkKind kind, capnp::MessageBuilder& message) {
  if (status_.ok()) status_ = writer_->Append(kind, message);
}

absl::Status TraceEncoder::WriteFooter(capnp::MessageBuilder& message) {
  return writer_->Append(ChunkKind::kFooter, message);
}

void TraceEncoder::WriteModules() {
  capnp::MallocMessageBuilder message;
  auto list = message.initRoot<schema::ModuleList>().initModules(static_cast<unsigned>(modules_.size()));
  for (unsigned i = 0; i < modules_.size(); ++i) {
    const ModuleEntry& module = modules_[i].module;
    auto entry = list[i];
    entry.setLoadAddress(module.load_address);
    entry.setBegin(module.begin);
    entry.setEnd(module.end);
    entry.setTextBegin(module.text_begin);
    entry.setTextEnd(module.text_end);
    entry.setPath(module.path);
    entry.setBuildId(trace::AsData(module.build_id));
    entry.setLoadedAt(module.time);
    entry.setFirstFrame(modules_[i].first_frame);
    entry.setUnloaded(module.unloaded);
    entry.setUnwindRows(module.unwind_rows);
    entry.setUnwindUnsupported(module.unwind_unsupported);
  }
  modules_.clear();
  Write(ChunkKind::kModules, message);
}

void TraceEncoder::WriteFrames() {
  capnp::MallocMessageBuilder message;
  frames_.Write(message.initRoot<schema::FrameTable>(), compressor_);
  Write(ChunkKind::kFrames, message);
}

void TraceEncoder::WriteKinds() {
  capnp::MallocMessageBuilder message;
  kinds_.Write(message.initRoot<schema::KindTable>(), compressor_);
  Write(ChunkKind::kKinds, message);
}

void TraceEncoder::WriteMarks() {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::MarkList>();
  auto marks = root.initMarks(static_cast<unsigned>(marks_.size()));
  for (unsigned i = 0; i < marks_.size(); ++i) {
    const MarkEntry& mark = marks_[i].mark;
    auto entry = marks[i];
    entry.setTime(mark.time);
    entry.setEvent(marks_[i].event);
    entry.setKind(mark.kind);
    entry.setSource(mark.source);
    entry.setText(mark.text);
    entry.setValue(mark.value);
  }
  auto threads = root.initThreads(static_cast<unsigned>(threads_.size()));
  for (unsigned i = 0; i < threads_.size(); ++i) {
    auto entry = threads[i];
    entry.setIndex(threads_[i].index);
    entry.setTid(threads_[i].tid);
    entry.setName(threads_[i].name);
    entry.setStartTime(threads_[i].start_time);
    entry.setEndTime(threads_[i].end_time);
  }
  auto routes = root.initRoutes(static_cast<unsigned>(routes_.size()));
  for (unsigned i = 0; i < routes_.size(); ++i) routes.set(i, routes_[i]);
  marks_.clear();
  threads_.clear();
  routes_.clear();
  Write(ChunkKind::kMarks, message);
}

void TraceEncoder::WriteCode(const js::CodeMap& code) {
  capnp::MallocMessageBuilder message;
  code_.Write(code, message.initRoot<schema::CodeNames>());
  Write(ChunkKind::kCode, message);
}

void TraceEncoder::WriteEvents() {
  capnp::MallocMessageBuilder message;
  events_.Write(message.initRoot<schema::EventBlock>(), compressor_);
  Write(ChunkKind::kEvents, message);
}

}  // namespace leaktrace::record
