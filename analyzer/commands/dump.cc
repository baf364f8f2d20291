#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzer/base/progress.h"
#include "analyzer/commands/commands.h"
#include "analyzer/commands/common.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/read/trace_reader.h"
#include "analyzer/report/json.h"

namespace leaktrace::commands {
namespace {

using Json = nlohmann::ordered_json;
using read::Event;
using trace::Operation;

struct Options {
  std::string trace;
  std::vector<std::string> types;
};

const char* OperationName(Operation operation) {
  switch (operation) {
    case Operation::kAllocate:
      return "allocate";
    case Operation::kFree:
      return "free";
    case Operation::kReallocate:
      return "reallocate";
    case Operation::kUnknownFree:
      return "unknown_free";
    case Operation::kMap:
      return "map";
    case Operation::kUnmap:
      return "unmap";
    case Operation::kRemap:
      return "remap";
    case Operation::kAdvise:
      return "advise";
    case Operation::kSocket:
      return "socket";
    case Operation::kHeapDestroy:
      return "heap_destroy";
    case Operation::kOverlap:
      return "overlap";
    case Operation::kCount:
      break;
  }
  return "unknown";
}

const char* SocketEventName(format::SocketEvent event) {
  switch (event) {
    case format::SocketEvent::kAccepted:
      return "accepted";
    case format::SocketEvent::kReceived:
      return "received";
    case format::SocketEvent::kSent:
      return "sent";
    case format::SocketEvent::kClosed:
      return "closed";
    case format::SocketEvent::kRequest:
      return "request";
    case format::SocketEvent::kListening:
      return "listening";
  }
  return "unknown";
}

std::string Text(capnp::Text::Reader text) { return {text.begin(), text.end()}; }
double Seconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

// Writes each thing as it is read: a line of JSON with its `type`.
class DumpVisitor final : public read::TraceVisitor {
 public:
  explicit DumpVisitor(const std::vector<std::string>& types) : types_(types.begin(), types.end()) {}

  void OnHeader(format::trace::TraceHeader::Reader header) override {
    if (!Wanted("header")) return;
    Json arguments = Json::array();
    for (capnp::Text::Reader argument : header.getArguments()) arguments.push_back(Text(argument));
    Write({{"type", "header"},
           {"executable", Text(header.getExecutable())},
           {"arguments", arguments},
           {"pid", header.getPid()},
           {"runtime", Text(header.getRuntimeName())},
           {"version", Text(header.getRuntimeVersion())},
           {"started", Seconds(header.getStartRealtime())}});
  }

  void OnModules(format::trace::ModuleList::Reader list) override {
    if (!Wanted("module")) return;
    for (const auto& module : list.getModules()) {
      const capnp::Data::Reader id = module.getBuildId();
      Write({{"type", "module"},
             {"path", Text(module.getPath())},
             {"build_id", absl::BytesToHexString(std::string(id.begin(), id.end()))},
             {"load_address", module.getLoadAddress()},
             {"begin", module.getBegin()},
             {"end", module.getEnd()},
             {"time", Seconds(module.getLoadedAt())},
             {"unloaded", module.getUnloaded()}});
    }
  }

  void OnFrames(const read::FrameBatch& batch) override {
    if (!Wanted("frame")) return;
    for (std::size_t i = 0; i < batch.parents.size(); ++i) {
      absl::StrAppendFormat(&out_,
                            "{\"type\":\"frame\",\"id\":%d,\"caller\":%d,\"kind\":%d,\"value\":%d,\"auxiliary\":%d}\n",
                            batch.first_id + i, batch.parents[i], static_cast<int>(batch.kinds[i]), batch.values[i],
                            batch.auxiliaries[i]);
      Spill();
    }
  }

  void OnKinds(const read::KindBatch& batch) override {
    kinds_.resize(batch.first_id);
    for (std::size_t i = 0; i < batch.stacks.size(); ++i) {
      kinds_.push_back({.stack = batch.stacks[i], .attributes = batch.attributes[i]});
    }
  }

  void OnEvents(const read::EventBatch& batch) override {
    if (!Wanted("event")) return;
    read::ForEachEvent(batch, [this](const Event& event) { WriteEvent(event); });
  }

  void OnMarks(format::trace::MarkList::Reader list) override {
    if (!Wanted("mark")) return;
    for (const auto& mark : list.getMarks()) {
      Write({{"type", "mark"},
             {"time", Seconds(mark.getTime())},
             {"event", mark.getEvent()},
             {"kind", mark.getKind()},
             {"source", mark.getSource()},
             {"text", Text(mark.getText())},
             {"value", mark.getValue()}});
    }
  }

  void OnMemory(format::trace::MemorySamples::Reader list) override {
    if (!Wanted("memory")) return;
    for (const auto& sample : list.getSamples()) {
      Json categories = Json::object();
      for (const auto& category : sample.getCategories()) categories[Text(category.getName())] = category.getRss();
      Write({{"type", "memory"},
             {"time", Seconds(sample.getTime())},
             {"event", sample.getEvent()},
             {"rss", sample.getRss()},
             {"live", sample.getLiveBytes()},
             {"live_blocks", sample.getLiveBlocks()},
             {"mapped", sample.getMappedBytes()},
             {"categories", categories}});
    }
  }

  void OnJsHeap(format::trace::JsHeapSamples::Reader list) override {
    if (!Wanted("js_heap")) return;
    const auto known = [](std::uint64_t value) { return value == UINT64_MAX ? Json(nullptr) : Json(value); };
    for (const auto& sample : list.getSamples()) {
      Write({{"type", "js_heap"},
             {"time", Seconds(sample.getTime())},
             {"event", sample.getEvent()},
             {"used", known(sample.getHeapUsed())},
             {"total", known(sample.getHeapTotal())},
             {"external", known(sample.getExternal())},
             {"array_buffers", known(sample.getArrayBuffers())}});
    }
  }

  void OnFooter(format::trace::Footer::Reader footer) override {
    if (!Wanted("footer")) return;
    Write({{"type", "footer"},
           {"end", footer.getEndKind()},
           {"status", footer.getStatus()},
           {"stop_reason", Text(footer.getStopReason())},
           {"time", Seconds(footer.getEndTime())},
           {"events", footer.getEvents()}});
  }

  bool Finish() {
    if (!failed_ && !Print(out_)) failed_ = true;
    out_.clear();
    return !failed_;
  }

 private:
  struct Kind {
    std::uint32_t stack = 0;
    trace::KindAttributes attributes;
  };

  [[nodiscard]] bool Wanted(const char* type) const { return types_.empty() || types_.contains(type); }

  void Write(const Json& json) {
    absl::StrAppend(&out_, report::DumpJson(json, -1), "\n");
    Spill();
  }

  void Spill() {
    constexpr std::size_t kBuffer = 1 << 18;
    if (out_.size() >= kBuffer) Finish();
  }

  // By hand: a trace has millions of these.
  void WriteEvent(const Event& event) {
    absl::StrAppendFormat(&out_, "{\"type\":\"event\",\"event\":%d,\"time\":%.6f,\"thread\":%d,\"operation\":\"%s\"",
                          event.number, Seconds(event.time), event.thread, OperationName(event.operation));
    if (trace::Releases(event.operation)) {
      absl::StrAppend(&out_, ",\"released\":", event.released, ",\"released_size\":", event.released_size);
    }
    if (trace::Acquires(event.operation)) {
      absl::StrAppend(&out_, ",\"allocation\":", event.allocation, ",\"size\":", event.size);
      WriteKind(event.kind);
    }
    if (event.side != nullptr) WriteSide(*event.side);
    absl::StrAppend(&out_, "}\n");
    Spill();
  }

  void WriteKind(std::uint32_t id) {
    if (id >= kinds_.size()) return;
    const Kind& kind = kinds_[id];
    const std::string entry(model::EntryPointName(kind.attributes.entry));
    const std::string phase(model::RequestPhaseName(kind.attributes.phase));
    absl::StrAppend(&out_, ",\"stack\":", kind.stack, ",\"entry\":\"", entry,
                    "\",\"allocator\":", kind.attributes.allocator);
    if (!phase.empty()) absl::StrAppend(&out_, ",\"request_phase\":\"", phase, "\"");
  }

  void WriteSide(const trace::SideRecord& side) {
    switch (side.operation) {
      case Operation::kSocket:
        absl::StrAppend(&out_, ",\"socket\":\"", SocketEventName(side.socket_event),
                        "\",\"descriptor\":", side.descriptor, ",\"bytes\":", side.bytes);
        return;
      case Operation::kMap:
      case Operation::kRemap:
        absl::StrAppend(&out_, ",\"mapping\":", side.mapping, ",\"protection\":", side.protection,
                        ",\"flags\":", side.flags);
        WriteKind(side.kind);
        [[fallthrough]];
      case Operation::kUnmap:
      case Operation::kAdvise:
        absl::StrAppend(&out_, ",\"length\":", side.length);
        if (side.operation == Operation::kAdvise) absl::StrAppend(&out_, ",\"advice\":", side.advice);
        [[fallthrough]];
      default:
        absl::StrAppend(&out_, ",\"address\":", side.address);
    }
  }

  std::set<std::string> types_;
  std::vector<Kind> kinds_;
  std::string out_;
  bool failed_ = false;
};

int Run(const Options& options) {
  Progress progress("dumping " + options.trace);
  DumpVisitor visitor(options.types);
  const absl::StatusOr<read::ReadSummary> summary = read::ReadTrace(
      options.trace, visitor, {.events = true, .progress = [&progress](std::uint64_t done, std::uint64_t total) {
                                 progress.Update(done, total);
                               }});
  if (!summary.ok()) return Fail(summary.status());
  if (!visitor.Finish()) return kUnusable;
  for (const read::Damage& damage : summary->damage) Fail(read::DescribeDamage(options.trace, damage));
  return summary->damaged == 0 ? kDone : kNotComplete;
}

}  // namespace

void AddDump(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("dump", "Print a trace as lines of JSON, in its own order");
  auto options = std::make_shared<Options>();
  command->add_option("TRACE", options->trace, "A trace, finished or still being written")->required();
  command->add_option("--only", options->types, "Only these types of lines; several are separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember({"header", "module", "frame", "event", "mark", "memory", "js_heap", "footer"}))
      ->type_name("TYPE");
  command->footer(
      "Times are seconds from the target's start. A stack is the id of its innermost frame.\n"
      "Examples:\n"
      "  leaktrace dump server.ltrace --only memory\n"
      "  leaktrace dump server.ltrace --only event | grep '\"operation\":\"map\"'");
  command->callback([options, &exit_status] { exit_status = Run(*options); });
}

}  // namespace leaktrace::commands
