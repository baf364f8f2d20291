#include "analyzer/report/json.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "analyzer/report/verdict_json.h"

namespace leaktrace::report {
namespace {

using Json = nlohmann::ordered_json;
using model::TraceModel;

double Seconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

template <typename Number>
Json OrNull(const std::optional<Number>& number) {
  return number ? Json(*number) : Json(nullptr);
}

Json ProgramJson(const TraceModel& model) {
  const model::Program& program = model.program;
  return {{"executable", program.executable},
          {"arguments", program.arguments},
          {"pid", program.pid},
          {"parent_pid", program.parent_pid},
          {"build_id", OrNull(absl::BytesToHexString(program.build_id))},
          {"working_directory", OrNull(program.working_directory)},
          {"started", Seconds(program.start_realtime)}};
}

std::string_view EndName(model::End::Kind kind) {
  switch (kind) {
    case model::End::Kind::kExit:
    case model::End::Kind::kExec:
      return "exit";
    case model::End::Kind::kSignal:
      return "signal";
    case model::End::Kind::kRunning:
      return "running";
    case model::End::Kind::kLost:
      break;
  }
  return "lost";
}

Json EndJson(const model::End& end) {
  const bool known = end.kind == model::End::Kind::kExit || end.kind == model::End::Kind::kSignal;
  return {{"kind", EndName(end.kind)},
          {"status", known ? Json(end.status) : Json(nullptr)},
          {"exec", end.kind == model::End::Kind::kExec},
          {"out_of_memory_kill", end.out_of_memory_kill},
          {"stop_reason", OrNull(end.stop_reason)}};
}

Json IntegrityJson(const model::Integrity& integrity) {
  Json allocators = Json::array();
  for (const model::AllocatorIntegrity& allocator : integrity.allocators) {
    allocators.push_back({{"name", allocator.name},
                          {"allocations", allocator.allocations},
                          {"frees", allocator.frees},
                          {"unknown_frees", allocator.unknown_frees},
                          {"overlaps", allocator.overlaps},
                          {"complete", allocator.complete},
                          {"state", OrNull(allocator.state)}});
  }
  return {{"coverage", integrity.Coverage()},
          {"dropped", integrity.dropped},
          {"truncated_stacks", integrity.truncated_stacks},
          {"broken_stacks", integrity.broken_stacks},
          {"damaged_chunks", integrity.damaged_chunks},
          {"unknown_chunks", integrity.unknown_chunks},
          {"lost_events", integrity.lost_events},
          {"waits", integrity.waits},
          {"damage", integrity.damage},
          {"allocators", allocators}};
}

Json MemoryJson(const TraceModel& model) {
  Json samples = Json::array();
  std::size_t next = 0;
  for (const model::MemorySample& sample : model.memory) {
    while (next < model.js_heap.size() && model.js_heap[next].time <= sample.time) ++next;
    Json categories = Json::object();
    for (const model::MemorySample::Category& category : sample.categories) {
      categories[model.memory_categories[category.name]] = category.rss;
    }
    samples.push_back({{"time", Seconds(sample.time)},
                       {"rss", sample.rss},
                       {"live", sample.live_bytes},
                       {"js_heap", next == 0 ? Json(nullptr) : OrNull(model.js_heap[next - 1].heap_used)},
                       {"mapped", sample.mapped_bytes},
                       {"categories", categories}});
  }
  return samples;
}

Json PhasesJson(const TraceModel& model) {
  Json phases = Json::array();
  for (const model::RunPhase& phase : model.run_phases) {
    phases.push_back({{"name", phase.name},
                      {"start", Seconds(phase.start)},
                      {"end", Seconds(phase.end)},
                      {"requests", model.saw_server ? Json(phase.requests) : Json(nullptr)},
                      {"allocated_bytes", phase.allocated_bytes},
                      {"freed_bytes", phase.freed_bytes},
                      {"allocations", phase.allocations},
                      {"frees", phase.frees},
                      {"live_bytes", phase.live_bytes},
                      {"live_blocks", phase.live_blocks},
                      {"detected", phase.detected}});
  }
  return phases;
}

Json SitesJson(const TraceModel& model, const Names& names, const std::vector<Site>& sites,
               const JsonOptions& options) {
  Json list = Json::array();
  const std::size_t count = options.top == 0 ? sites.size() : std::min(options.top, sites.size());
  for (std::size_t i = 0; i < count; ++i) list.push_back(SiteJson(model, names, sites[i], options.depth));
  return list;
}

}  // namespace

Json FrameJson(const StackLine& entry) {
  const symbolize::Line& line = *entry.line;
  return {{"function", OrNull(line.function)},
          {"module", OrNull(line.module)},
          {"offset", line.offset},
          {"file", OrNull(line.file)},
          {"line", line.line == 0 ? Json(nullptr) : Json(line.line)},
          {"kind", symbolize::LineKindName(line.kind)},
          {"inlined", line.inlined},
          {"scheduled_by", entry.scheduled_by},
          {"evidence", OrNull(line.evidence)}};
}

Json SiteJson(const TraceModel& model, const Names& names, const Site& site, std::size_t depth) {
  const model::Origin& origin = model.origins[site.largest];
  Json stack = Json::array();
  for (const StackLine& line : names.Stack(site.stack)) {
    if (depth != 0 && stack.size() == depth) break;
    stack.push_back(FrameJson(line));
  }
  const std::string route = origin.route < model.routes.size() ? model.routes[origin.route] : "";
  return {{"bytes", site.bytes},
          {"blocks", site.blocks},
          {"allocations", site.allocations},
          {"allocated_bytes", site.allocated_bytes},
          {"peak_bytes", site.peak_bytes},
          {"peak_blocks", site.peak_blocks},
          {"allocator", origin.mapping ? Json(nullptr) : Json(model.AllocatorName(origin.allocator))},
          {"entry", OrNull(std::string(model::EntryPointName(origin.entry)))},
          {"phase", site.run_phase ? Json(model.run_phases[*site.run_phase].name) : Json(nullptr)},
          {"request_phase", OrNull(std::string(model::RequestPhaseName(origin.request_phase)))},
          {"route", OrNull(route)},
          {"stacks", site.stacks},
          {"name", OrNull(site.name)},
          {"stack", stack}};
}

Json MakeJson(const TraceModel& model, Names& names, const Judgement& judgement, const JsonOptions& options) {
  SiteOptions heap = options.sites;
  heap.mappings = false;
  SiteOptions mapped = options.sites;
  mapped.mappings = true;
  const std::vector<Site> sites = MakeSites(model, names, heap);
  const std::vector<Site> mappings = MakeSites(model, names, mapped);

  Json json;
  json["program"] = ProgramJson(model);
  json["runtime"] = {{"name", model.program.runtime_name}, {"version", OrNull(model.program.runtime_version)}};
  json["end"] = EndJson(model.end);
  json["duration"] = Seconds(model.duration);
  json["requests"] = model.saw_server ? Json(model.requests) : Json(nullptr);
  json["events"] = model.events;
  json["threads"] = model.thread_count;
  json["trace_bytes"] = model.trace_bytes;
  json["integrity"] = IntegrityJson(model.integrity);
  json["memory"] = MemoryJson(model);
  json["phases"] = PhasesJson(model);
  json["peak"] = {{"bytes", model.peak.live_bytes},
                  {"blocks", model.peak.live_blocks},
                  {"time", Seconds(model.peak.time)},
                  {"requests", model.saw_server ? Json(model.peak.requests) : Json(nullptr)}};
  json["live"] = {
      {"bytes", model.live_bytes}, {"blocks", model.live_blocks}, {"sites", SitesJson(model, names, sites, options)}};
  json["mappings"] = {
      {"bytes", model.mapped_bytes}, {"count", model.mappings}, {"sites", SitesJson(model, names, mappings, options)}};
  json["verdict"] = VerdictJson(judgement);
  json["suspects"] = SuspectsJson(model, names, judgement, options.top, options.depth);
  json["notes"] = names.notes();
  json["recorder"] = {{"cpu", Seconds(model.recorder_cpu)}, {"peak_rss", model.recorder_peak_rss}};
  return json;
}

std::string DumpJson(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace leaktrace::report
