#include "analyzer/model/overview_pass.h"

#include <algorithm>
#include <utility>

namespace leaktrace::model {
namespace {

std::string Copy(capnp::Text::Reader text) { return {text.begin(), text.end()}; }
std::string Copy(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};  // NOLINT: bytes as they are
}

std::optional<std::uint64_t> Known(std::uint64_t value) {
  if (value == UINT64_MAX) return std::nullopt;
  return value;
}

template <typename Sample>
void Halve(std::vector<Sample>& samples) {
  for (std::size_t i = 0; 2 * i < samples.size(); ++i) samples[i] = std::move(samples[2 * i]);
  samples.resize((samples.size() + 1) / 2);
}

}  // namespace

OverviewPass::OverviewPass(TraceModel& model) : model_(model) { model_.routes.assign(1, ""); }

void OverviewPass::SawTime(std::uint64_t time, std::uint64_t event) {
  model_.end.time = std::max(model_.end.time, time);
  model_.events = std::max(model_.events, event);
}

void OverviewPass::OnHeader(format::trace::TraceHeader::Reader header) {
  Program& program = model_.program;
  program.executable = Copy(header.getExecutable());
  for (capnp::Text::Reader argument : header.getArguments()) program.arguments.push_back(Copy(argument));
  program.pid = header.getPid();
  program.parent_pid = header.getParentPid();
  program.build_id = Copy(header.getBuildId());
  program.runtime_name = Copy(header.getRuntimeName());
  program.runtime_version = Copy(header.getRuntimeVersion());
  program.working_directory = Copy(header.getWorkingDirectory());
  program.start_realtime = header.getStartRealtime();
  program.clock = Copy(header.getClock());
  program.recorder_version = Copy(header.getRecorderVersion());
  program.page_size = header.getPageSize();
  program.cpus = header.getCpus();
  for (const auto& option : header.getOptions()) {
    program.options.emplace_back(Copy(option.getName()), Copy(option.getValue()));
  }
}

void OverviewPass::OnModules(format::trace::ModuleList::Reader list) {
  for (const auto& module : list.getModules()) {
    model_.modules.push_back({.path = Copy(module.getPath()),
                              .build_id = Copy(module.getBuildId()),
                              .load_address = module.getLoadAddress(),
                              .begin = module.getBegin(),
                              .end = module.getEnd(),
                              .text_begin = module.getTextBegin(),
                              .text_end = module.getTextEnd(),
                              .loaded_at = module.getLoadedAt(),
                              .first_frame = module.getFirstFrame(),
                              .unloaded = module.getUnloaded(),
                              .unwind_rows = module.getUnwindRows(),
                              .unwind_unsupported = module.getUnwindUnsupported()});
  }
}

void OverviewPass::OnMarks(format::trace::MarkList::Reader list) {
  for (const auto& mark : list.getMarks()) {
    SawTime(mark.getTime(), mark.getEvent());
    if (model_.marks.size() >= kMaxMarks) break;
    model_.marks.push_back({.time = mark.getTime(),
                            .event = mark.getEvent(),
                            .kind = mark.getKind(),
                            .source = mark.getSource(),
                            .text = Copy(mark.getText()),
                            .value = mark.getValue()});
  }
  for (capnp::Text::Reader route : list.getRoutes()) model_.routes.push_back(Copy(route));
  for (const auto& thread : list.getThreads()) {
    const auto [found, inserted] = threads_.try_emplace(thread.getIndex(), model_.threads.size());
    if (inserted) model_.threads.emplace_back();
    model_.threads[found->second] = {.index = thread.getIndex(),
                                     .tid = thread.getTid(),
                                     .name = Copy(thread.getName()),
                                     .start = thread.getStartTime(),
                                     .end = thread.getEndTime()};
  }
}

std::uint32_t OverviewPass::Category(const std::string& name) {
  const auto [found, inserted] =
      categories_.try_emplace(name, static_cast<std::uint32_t>(model_.memory_categories.size()));
  if (inserted) model_.memory_categories.push_back(name);
  return found->second;
}

void OverviewPass::OnMemory(format::trace::MemorySamples::Reader list) {
  for (const auto& sample : list.getSamples()) {
    SawTime(sample.getTime(), sample.getEvent());
    if (memory_seen_++ % memory_step_ != 0) continue;
    MemorySample copy{.time = sample.getTime(),
                      .event = sample.getEvent(),
                      .rss = sample.getRss(),
                      .pss = sample.getPss(),
                      .live_bytes = sample.getLiveBytes(),
                      .live_blocks = sample.getLiveBlocks(),
                      .mapped_bytes = sample.getMappedBytes(),
                      .categories = {}};
    for (const auto& category : sample.getCategories()) {
      copy.categories.push_back({.name = Category(Copy(category.getName())),
                                 .rss = category.getRss(),
                                 .pss = category.getPss(),
                                 .virtual_bytes = category.getVirtual(),
                                 .anonymous = category.getAnonymous()});
    }
    model_.memory.push_back(std::move(copy));
    if (model_.memory.size() >= kMaxMemorySamples) {
      Halve(model_.memory);
      memory_step_ *= 2;
    }
  }
}

void OverviewPass::OnJsHeap(format::trace::JsHeapSamples::Reader list) {
  for (const auto& sample : list.getSamples()) {
    SawTime(sample.getTime(), sample.getEvent());
    if (js_heap_seen_++ % js_heap_step_ != 0) continue;
    model_.js_heap.push_back({.time = sample.getTime(),
                              .event = sample.getEvent(),
                              .heap_used = Known(sample.getHeapUsed()),
                              .heap_total = Known(sample.getHeapTotal()),
                              .external = Known(sample.getExternal()),
                              .array_buffers = Known(sample.getArrayBuffers()),
                              .rss = Known(sample.getRss()),
                              .object_counts = Copy(sample.getObjectCounts())});
    if (model_.js_heap.size() >= kMaxJsHeapSamples) {
      Halve(model_.js_heap);
      js_heap_step_ *= 2;
    }
  }
}

void OverviewPass::OnCode(format::trace::CodeNames::Reader code) {
  for (const auto& script : code.getScripts()) {
    model_.js_scripts.push_back({.id = script.getId(),
                                 .url = Copy(script.getUrl()),
                                 .source = Copy(script.getSource()),
                                 .source_hash = script.getSourceHash()});
  }
  for (const auto& function : code.getFunctions()) {
    model_.js_functions[function.getId()] = {.id = function.getId(),
                                             .name = Copy(function.getName()),
                                             .script = function.getScript(),
                                             .url = Copy(function.getUrl()),
                                             .line = function.getLine(),
                                             .column = function.getColumn(),
                                             .start = function.getStart(),
                                             .end = function.getEnd(),
                                             .tier = function.getTier()};
  }
  for (const auto& frame : code.getFrames()) {
    model_.js_frames[frame.getFrame()] = {
        .function = frame.getFunction(), .position = frame.getPosition(), .line = frame.getLine()};
  }
}

void OverviewPass::OnCounters(format::trace::Counters::Reader counters) {
  SawTime(counters.getTime(), 0);
  Integrity& integrity = model_.integrity;
  integrity.dropped = counters.getDropped();
  integrity.truncated_stacks = counters.getTruncatedStacks();
  integrity.broken_stacks = counters.getBrokenStacks();
  integrity.waits = counters.getWaits();
  model_.thread_count = counters.getThreads();
  integrity.allocators.clear();
  for (const auto& allocator : counters.getAllocators()) {
    integrity.allocators.push_back({.name = Copy(allocator.getName()),
                                    .allocations = allocator.getAllocations(),
                                    .frees = allocator.getFrees(),
                                    .unknown_frees = allocator.getUnknownFrees(),
                                    .overlaps = allocator.getOverlaps(),
                                    .complete = allocator.getComplete(),
                                    .state = Copy(allocator.getState())});
  }
}

void OverviewPass::OnHookMap(format::trace::HookMap::Reader map) {
  for (capnp::Text::Reader name : map.getAllocators()) model_.hooked_allocators.push_back(Copy(name));
  for (const auto& entry : map.getEntries()) {
    model_.hooked_functions.push_back({.address = entry.getAddress(),
                                       .name = Copy(entry.getName()),
                                       .allocator = entry.getAllocator(),
                                       .entry_point = entry.getEntryPoint(),
                                       .role = entry.getRole(),
                                       .patched = entry.getPatched()});
  }
}

void OverviewPass::OnFooter(format::trace::Footer::Reader footer) {
  SawTime(footer.getEndTime(), footer.getEvents());
  model_.complete = true;
  End& end = model_.end;
  switch (footer.getEndKind()) {
    case 1:
      end.kind = End::Kind::kExit;
      break;
    case 2:
      end.kind = End::Kind::kSignal;
      break;
    case 4:
      end.kind = End::Kind::kExec;
      break;
    default:
      end.kind = End::Kind::kLost;
      break;
  }
  end.status = footer.getStatus();
  end.out_of_memory_kill = footer.getOutOfMemoryKill();
  end.stop_reason = Copy(footer.getStopReason());
  model_.recorder_cpu = footer.getRecorderCpu();
  model_.recorder_peak_rss = footer.getRecorderPeakRss();
}

void OverviewPass::OnSymbols(format::trace::SymbolTable::Reader table) {
  for (const auto& frame : table.getFrames()) {
    std::vector<BundledLine>& lines = model_.bundled[frame.getFrame()];
    lines.clear();
    for (const auto& line : frame.getLines()) {
      lines.push_back({.function = Copy(line.getFunction()),
                       .module = Copy(line.getModule()),
                       .file = Copy(line.getFile()),
                       .offset = line.getOffset(),
                       .line = line.getLine(),
                       .kind = line.getKind(),
                       .inlined = line.getInlined(),
                       .evidence = Copy(line.getEvidence())});
    }
  }
}

}  // namespace leaktrace::model
