#include "analyzer/record/trace_encoder.h"

#include <capnp/message.h>

#include <functional>
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
void TraceEncoder::AddFrameName(std::uint32_t frame, js::CodeFrame name) { frame_names_.push_back({frame, name}); }

void TraceEncoder::FlushIfFull(const js::CodeMap& code) {
  if (events_.pending() >= kFullBlockEvents || events_.pending_bytes() >= kFullBlockBytes || frames_.pending() >= kFullTable ||
      kinds_.pending() >= kFullTable) {
    Flush(code);
  }
}

void TraceEncoder::Flush(const js::CodeMap& code) {
  if (!modules_.empty()) WriteModules();
  if (frames_.pending() != 0) WriteFrames();
  if (!frame_names_.empty()) WriteCode(code);
  if (kinds_.pending() != 0) WriteKinds();
  if (!marks_.empty() || !threads_.empty() || !routes_.empty()) WriteMarks();
  if (events_.pending() != 0) WriteEvents();
}

void TraceEncoder::Write(ChunkKind kind, capnp::MessageBuilder& message) {
  if (status_.ok()) status_ = writer_->Append(kind, message);
}

absl::Status TraceEncoder::WriteFooter(capnp::MessageBuilder& message) { return writer_->Append(ChunkKind::kFooter, message); }

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
  auto root = message.initRoot<schema::CodeNames>();
  const auto& functions = code.functions();
  auto function_list = root.initFunctions(static_cast<unsigned>(functions.size() - functions_written_));
  for (unsigned i = 0; functions_written_ < functions.size(); ++i, ++functions_written_) {
    const js::Function& function = functions[functions_written_];
    auto entry = function_list[i];
    entry.setId(static_cast<std::uint32_t>(functions_written_ + 1));
    entry.setName(function.name);
    entry.setScript(function.script);
    entry.setUrl(function.url);
    entry.setLine(function.line);
    entry.setColumn(function.column);
    entry.setStart(function.start);
    entry.setEnd(function.end);
    entry.setTier(static_cast<std::uint16_t>(function.kind));
  }
  auto names = root.initFrames(static_cast<unsigned>(frame_names_.size()));
  for (unsigned i = 0; i < frame_names_.size(); ++i) {
    names[i].setFrame(frame_names_[i].frame);
    names[i].setFunction(frame_names_[i].name.function);
    names[i].setPosition(frame_names_[i].name.position);
  }
  frame_names_.clear();
  // A script is written once its text is complete; it may come in parts.
  std::vector<std::pair<std::uint32_t, const js::Script*>> scripts;
  for (const auto& [id, script] : code.scripts()) {
    auto [written, inserted] = script_bytes_written_.try_emplace(id, 0);
    if (!inserted && (written->second == script.source.size() || script.source.size() < script.source_bytes)) continue;
    written->second = script.source.size();
    scripts.emplace_back(id, &script);
  }
  auto script_list = root.initScripts(static_cast<unsigned>(scripts.size()));
  for (unsigned i = 0; i < scripts.size(); ++i) {
    const js::Script& script = *scripts[i].second;
    script_list[i].setId(scripts[i].first);
    script_list[i].setUrl(script.url);
    if (script.source.empty() || script.source.size() < script.source_bytes) continue;
    const absl::Span<const std::uint8_t> text(reinterpret_cast<const std::uint8_t*>(script.source.data()), script.source.size());
    script_list[i].setSource(trace::AsData(compressor_.Compress(text)));
    script_list[i].setSourceHash(std::hash<std::string>{}(script.source));
  }
  Write(ChunkKind::kCode, message);
}

void TraceEncoder::WriteEvents() {
  capnp::MallocMessageBuilder message;
  events_.Write(message.initRoot<schema::EventBlock>(), compressor_);
  Write(ChunkKind::kEvents, message);
}

}  // namespace leaktrace::record
