#include "analyzer/record/recorder.h"

#include <capnp/message.h>
#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzer/base/cache_directory.h"
#include "analyzer/base/control_socket.h"
#include "analyzer/record/allocator_names.h"
#include "analyzer/record/clock.h"
#include "analyzer/record/header_chunk.h"
#include "analyzer/record/matcher.h"
#include "analyzer/record/memory_sampler.h"
#include "analyzer/record/ring_set.h"
#include "analyzer/record/session.h"
#include "analyzer/record/target_tables.h"
#include "analyzer/record/target_watch.h"
#include "analyzer/record/trace_encoder.h"

namespace leaktrace::record {
namespace {

namespace schema = format::trace;
using format::ChunkKind;
using format::Op;
using format::RecorderState;
using format::TargetState;

// By measurement on a server's trace: the quickest level that keeps it well below three bytes per event.
constexpr int kCompressionLevel = 1;
constexpr std::uint64_t kFlushNs = 250'000'000;
constexpr std::uint64_t kSampleNs = 500'000'000;
constexpr std::uint64_t kCountersNs = 5'000'000'000;
// How long the recorder sleeps when no ring fills: short, for the target's end shows only between.
constexpr long kSleepNs = 20'000'000;
constexpr std::size_t kStagedRecords = 256;
constexpr std::size_t kBatchesPerRelease = 16;

class Recorder {
 public:
  Recorder(const Session& session, std::unique_ptr<trace::TraceWriter> writer)
      : session_(session),
        clock_(session),
        encoder_(std::move(writer), kCompressionLevel),
        rings_(session),
        matcher_(rings_, session, clock_, encoder_),
        tables_(session, DefaultCacheDirectory()),
        sampler_(static_cast<pid_t>(session.facts().pid)) {}

  absl::Status Run();

 private:
  void Pass(std::uint64_t watermark);
  void ApplyOther(const StagedRecord& record);
  void ApplyModule(const StagedRecord& record);
  void ApplyMark(const StagedRecord& record);
  void ApplyProcess(const StagedRecord& record);
  void ApplyJsHeap(const StagedRecord& record);
  void BecomeReady();
  void AnswerRequests();
  void NoteMark(MarkEntry mark);
  void WritePeriodically();
  void WriteSample();
  void WriteCounters();
  void WriteHookMap();
  void WriteFooter(const EndFacts& end);
  EndFacts HowItEnded() const;
  bool HasExecuted();
  void Sleep();

  const Session& session_;
  Clock clock_;
  TraceEncoder encoder_;
  RingSet rings_;
  Matcher matcher_;
  TargetTables tables_;
  MemorySampler sampler_;
  std::optional<TargetWatch> watch_;
  std::optional<ControlSocket> control_;
  std::string marks_;  // what `list` answers
  bool ready_ = false;
  bool hook_map_written_ = false;
  std::optional<std::uint32_t> executing_ring_;  // whose thread said that it is about to call exec
  std::uint64_t executing_check_ = 0;
  std::uint64_t last_flush_ = 0, next_sample_ = 0, next_counters_ = 0;
  std::vector<std::uint8_t> variable_;
};

absl::Status Recorder::Run() {
  if (auto watch = TargetWatch::Begin(static_cast<pid_t>(session_.facts().pid)); watch.ok())
    watch_.emplace(*std::move(watch));
  // Without it the trace is recorded all the same; `leaktrace mark` says that nobody listens.
  if (auto control = ControlSocket::Open(static_cast<pid_t>(session_.facts().pid)); control.ok())
    control_.emplace(*std::move(control));
  tables_.PrepareExecutable();
  {
    capnp::MallocMessageBuilder message;
    BuildHeader(session_, tables_, clock_, message);
    encoder_.Write(ChunkKind::kHeader, message);
  }
  bool ended = false, executed = false;
  while (!ended && !executed && encoder_.status().ok()) {
    // Before the pass, so that it sees all that was published before the end.
    ended = !watch_.has_value() || watch_->HasEnded() ||
            session_.header().target_state.load(std::memory_order_acquire) == TargetState::kStopped;
    executed = HasExecuted();
    const std::uint64_t watermark = clock_.Read();
    Pass(ended || executed ? ~std::uint64_t{0} : watermark);
    session_.header().progress.fetch_add(1, std::memory_order_relaxed);
    AnswerRequests();
    // The first sample before the target goes on.
    WritePeriodically();
    if (!ready_) BecomeReady();
    if (!ended && !executed && !rings_.busy()) Sleep();
  }
  if (!encoder_.status().ok()) session_.SetRecorderState(RecorderState::kFailed);
  matcher_.Finish();
  encoder_.Flush(matcher_.code());
  WriteCounters();
  WriteFooter(executed ? EndFacts{TargetEnd::kExec, 0, false} : HowItEnded());
  if (encoder_.status().ok()) session_.SetRecorderState(RecorderState::kFinished);
  return encoder_.status();
}

void Recorder::Pass(std::uint64_t watermark) {
  StagedRecord staged[kStagedRecords];
  rings_.BeginPass(watermark);
  for (std::size_t batch = 1;; ++batch) {
    const std::size_t count = rings_.Stage(staged);
    if (count == 0) break;
    matcher_.Apply(absl::MakeConstSpan(staged, count), [this](const StagedRecord& record) { ApplyOther(record); });
    if (executing_ring_.has_value()) {
      for (const StagedRecord& record : absl::MakeConstSpan(staged, count)) {
        // The thread goes on: its exec has failed.
        if (record.ring == executing_ring_ && record.op() != Op::kProcess) executing_ring_.reset();
      }
    }
    if (batch % kBatchesPerRelease == 0) rings_.Release();
    encoder_.FlushIfFull(matcher_.code());
  }
  rings_.Release();
}

void Recorder::ApplyOther(const StagedRecord& record) {
  switch (record.op()) {
    case Op::kModule:
    case Op::kModuleUnload:
      ApplyModule(record);
      break;
    case Op::kMark:
      ApplyMark(record);
      break;
    case Op::kProcess:
      ApplyProcess(record);
      break;
    case Op::kJsHeap:
    case Op::kObjectCounts:
      ApplyJsHeap(record);
      break;
    default:
      break;
  }
}

void Recorder::ApplyModule(const StagedRecord& record) {
  ModuleEntry entry;
  entry.time = clock_.Nanoseconds(record.stamp());
  if (record.op() == Op::kModuleUnload) {
    entry.load_address = record.word1;
    entry.unloaded = true;
    tables_.RemoveModule(record.word1);
    encoder_.AddModule(std::move(entry));
    return;
  }
  rings_.CopyVariable(record, variable_);
  format::ModuleRecord module;
  if (variable_.size() < sizeof(module)) return;
  std::memcpy(&module, variable_.data(), sizeof(module));
  const std::size_t path_bytes = std::min<std::size_t>(module.path_bytes, variable_.size() - sizeof(module));
  entry.path.assign(reinterpret_cast<const char*>(variable_.data()) + sizeof(module), path_bytes);
  entry.load_address = module.load_address;
  entry.begin = module.begin;
  entry.end = module.end;
  entry.text_begin = module.text_begin;
  entry.text_end = module.text_end;
  entry.build_id.assign(module.build_id,
                        module.build_id + std::min<std::size_t>(module.build_id_bytes, sizeof(module.build_id)));
  const TargetTables::Rows rows = tables_.AddModule(module, entry.path);
  entry.unwind_rows = rows.count;
  entry.unwind_unsupported = rows.unsupported;
  encoder_.AddModule(std::move(entry));
}

void Recorder::ApplyMark(const StagedRecord& record) {
  rings_.CopyVariable(record, variable_);
  format::MarkRecord mark;
  if (variable_.size() < sizeof(mark)) return;
  std::memcpy(&mark, variable_.data(), sizeof(mark));
  const std::size_t bytes = std::min<std::size_t>(mark.text_bytes, variable_.size() - sizeof(mark));
  NoteMark({.time = clock_.Nanoseconds(record.stamp()),
            .kind = static_cast<std::uint16_t>(mark.kind),
            .source = kMarkByAgent,
            .text = std::string(reinterpret_cast<const char*>(variable_.data()) + sizeof(mark), bytes)});
}

void Recorder::ApplyProcess(const StagedRecord& record) {
  rings_.CopyVariable(record, variable_);
  format::ProcessRecord process;
  if (variable_.size() < sizeof(process)) return;
  std::memcpy(&process, variable_.data(), sizeof(process));
  const std::size_t bytes = std::min<std::size_t>(process.text_bytes, variable_.size() - sizeof(process));
  encoder_.AddMark({.time = clock_.Nanoseconds(record.stamp()),
                    .kind = static_cast<std::uint16_t>(kProcessMarkBase + static_cast<std::uint32_t>(process.event)),
                    .source = kMarkByRecorder,
                    .text = std::string(reinterpret_cast<const char*>(variable_.data()) + sizeof(process), bytes),
                    .value = process.status});
  if (process.event == format::ProcessEvent::kExit) next_sample_ = 0;
  if (process.event == format::ProcessEvent::kExec) executing_ring_ = record.ring;
}

void Recorder::ApplyJsHeap(const StagedRecord& record) {
  rings_.CopyVariable(record, variable_);
  constexpr std::uint64_t kUnknown = ~std::uint64_t{0};
  format::JsHeapRecord heap{kUnknown, kUnknown, kUnknown, kUnknown, kUnknown};
  std::string counts;
  if (record.op() == Op::kObjectCounts) {
    counts.assign(reinterpret_cast<const char*>(variable_.data()), variable_.size());
  } else if (variable_.size() >= sizeof(heap)) {
    std::memcpy(&heap, variable_.data(), sizeof(heap));
  }
  capnp::MallocMessageBuilder message;
  auto sample = message.initRoot<schema::JsHeapSamples>().initSamples(1)[0];
  sample.setTime(clock_.Nanoseconds(record.stamp()));
  sample.setEvent(encoder_.events().next_event());
  sample.setHeapUsed(heap.heap_used);
  sample.setHeapTotal(heap.heap_total);
  sample.setExternal(heap.external);
  sample.setArrayBuffers(heap.array_buffers);
  sample.setRss(heap.rss);
  sample.setObjectCounts(counts);
  encoder_.Write(ChunkKind::kJsHeap, message);
}

void Recorder::BecomeReady() {
  // The library has announced the modules that were there at the start before it says that it is starting.
  if (session_.header().target_state.load(std::memory_order_acquire) < TargetState::kStarting) return;
  const std::uint32_t announced = session_.header().module_requests.load(std::memory_order_acquire);
  if (session_.header().modules_ready.load(std::memory_order_relaxed) < announced) return;
  ready_ = true;
  session_.SetRecorderState(RecorderState::kReady);
}

void Recorder::AnswerRequests() {
  if (!control_.has_value()) return;
  while (const auto request = control_->Poll()) {
    constexpr std::string_view kMark = "mark ";
    if (request->line == "list") {
      control_->Answer(*request, marks_.empty() ? "no marks yet\n" : marks_);
    } else if (request->line.rfind(kMark, 0) == 0 && request->line.size() > kMark.size()) {
      NoteMark({.time = clock_.now(),
                .kind = static_cast<std::uint16_t>(format::MarkKind::kPhase),
                .source = kMarkByCommand,
                .text = request->line.substr(kMark.size())});
      control_->Answer(*request, "ok\n");
    } else {
      control_->Answer(*request, "not understood\n");
    }
  }
}

void Recorder::NoteMark(MarkEntry mark) {
  absl::StrAppendFormat(&marks_, "%.3f %s\n", static_cast<double>(mark.time) / 1e9, mark.text);
  encoder_.AddMark(std::move(mark));
  next_sample_ = 0;  // what grew in a phase is told from the samples at its begin and end
}

void Recorder::WritePeriodically() {
  const std::uint64_t now = clock_.now();
  if (now >= next_sample_) {
    WriteSample();
    next_sample_ = now + kSampleNs;
  }
  if (now - last_flush_ >= kFlushNs) {
    encoder_.Flush(matcher_.code());
    last_flush_ = now;
  }
  // The library has patched by then what it could.
  if (!hook_map_written_ && session_.header().target_state.load(std::memory_order_acquire) >= TargetState::kRecording) {
    WriteHookMap();
    hook_map_written_ = true;
  }
  if (now >= next_counters_) {
    WriteCounters();
    next_counters_ = now + kCountersNs;
  }
}

void Recorder::WriteSample() {
  const MemorySample memory = sampler_.Sample(clock_.now());
  if (memory.rss == 0) return;
  capnp::MallocMessageBuilder message;
  auto sample = message.initRoot<schema::MemorySamples>().initSamples(1)[0];
  sample.setTime(clock_.now());
  sample.setEvent(encoder_.events().next_event());
  sample.setRss(memory.rss);
  sample.setPss(memory.pss);
  sample.setLiveBytes(matcher_.totals().live_bytes);
  sample.setLiveBlocks(matcher_.live_blocks());
  sample.setMappedBytes(matcher_.mapped_bytes());
  auto categories = sample.initCategories(static_cast<unsigned>(memory.categories.size()));
  unsigned i = 0;
  for (const auto& [name, sums] : memory.categories) {
    auto category = categories[i++];
    category.setName(name);
    category.setRss(sums.rss);
    category.setPss(sums.pss);
    category.setVirtual(sums.virtual_size);
    category.setAnonymous(sums.anonymous);
  }
  encoder_.Write(ChunkKind::kMemory, message);
}

void Recorder::WriteCounters() {
  capnp::MallocMessageBuilder message;
  auto counters = message.initRoot<schema::Counters>();
  std::uint64_t dropped = 0, truncated = 0, broken = 0, waits = 0;
  for (std::uint32_t i = 0; i < rings_.size(); ++i) {
    const format::ThreadSlot& slot = session_.slot(i);
    dropped += slot.dropped.load(std::memory_order_relaxed);
    truncated += slot.truncated.load(std::memory_order_relaxed);
    broken += slot.broken.load(std::memory_order_relaxed);
    waits += slot.waits.load(std::memory_order_relaxed);
  }
  counters.setTime(clock_.now());
  counters.setDropped(dropped);
  counters.setTruncatedStacks(truncated);
  counters.setBrokenStacks(broken);
  counters.setWaits(waits);
  counters.setThreads(matcher_.threads());
  counters.setInheritedFrees(matcher_.totals().inherited_frees);
  const std::vector<AllocatorName> names = AllocatorNames(session_);
  auto allocators = counters.initAllocators(static_cast<unsigned>(names.size()));
  for (unsigned i = 0; i < names.size(); ++i) {
    const AllocatorCounts& counts = matcher_.totals().allocators[i];
    allocators[i].setName(names[i].name);
    allocators[i].setAllocations(counts.allocations);
    allocators[i].setFrees(counts.frees);
    allocators[i].setUnknownFrees(counts.unknown_frees);
    allocators[i].setOverlaps(counts.overlaps);
    allocators[i].setComplete(names[i].complete);
    allocators[i].setState(names[i].state);
  }
  encoder_.Write(ChunkKind::kCounters, message);
}

void Recorder::WriteHookMap() {
  const format::HookMapTable* const map = session_.hook_map();
  if (map == nullptr || map->version != format::kHookMapVersion || map->entry_count == 0) return;
  const std::vector<AllocatorName> names = AllocatorNames(session_);
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::HookMap>();
  auto allocators = root.initAllocators(static_cast<unsigned>(names.size()));
  for (unsigned i = 0; i < names.size(); ++i) allocators.set(i, names[i].name);
  auto entries = root.initEntries(std::min(map->entry_count, format::kMaxHooks));
  for (unsigned i = 0; i < entries.size(); ++i) {
    const format::HookEntry& hook = map->entries[i];
    const unsigned allocator = hook.allocator + 1u;
    auto entry = entries[i];
    entry.setAddress(hook.address);
    entry.setRole(static_cast<std::uint16_t>(hook.role));
    entry.setEntryPoint(static_cast<std::uint16_t>(hook.entry));
    entry.setAllocator(static_cast<std::uint16_t>(allocator));
    if (allocator < names.size()) entry.setName(absl::StrCat(RoleName(hook.role), " [", names[allocator].name, "]"));
    entry.setPatched(map->proof_failed[i] == 0 && hook.allocator < format::kMaxAllocators &&
                     map->allocator_state[hook.allocator].load(std::memory_order_acquire) ==
                         format::PatchState::kPatched);
  }
  encoder_.Write(ChunkKind::kHookMap, message);
}

EndFacts Recorder::HowItEnded() const {
  const format::SessionHeader& header = session_.header();
  EndFacts end = watch_.has_value() && watch_->HasEnded() ? watch_->End() : EndFacts{};
  if (end.kind != TargetEnd::kUnknown) return end;
  // The kernel does not tell: then what the library saw coming.
  const format::EndKind kind = header.end_kind.load(std::memory_order_acquire);
  const std::int32_t status = header.end_status.load(std::memory_order_relaxed);
  if (kind == format::EndKind::kExit) return {TargetEnd::kExit, status, false};
  if (kind == format::EndKind::kSignal) return {TargetEnd::kSignal, status, false};
  if (header.target_state.load(std::memory_order_acquire) == TargetState::kStopped)
    return {TargetEnd::kStopped, 0, false};
  return end;
}

std::string StopText(format::StopReason reason) {
  switch (reason) {
    case format::StopReason::kNone:
    case format::StopReason::kExit:
    case format::StopReason::kExec:
      return "";
    case format::StopReason::kRecorderLost:
      return "the library lost its recorder";
    case format::StopReason::kRecorderStuck:
      return "the recorder made no progress for 5 seconds";
    case format::StopReason::kOutOfMemory:
      return "the library got no memory";
    case format::StopReason::kTooManyThreads:
      return "more threads than there are rings";
  }
  return "the library stopped recording";
}

void Recorder::WriteFooter(const EndFacts& end) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto nanoseconds = [](const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_usec) * 1'000;
  };
  std::string stopped = StopText(session_.header().stop_reason.load(std::memory_order_acquire));
  if (!encoder_.status().ok()) stopped = std::string(encoder_.status().message());
  capnp::MallocMessageBuilder message;
  auto footer = message.initRoot<schema::Footer>();
  footer.setEndKind(static_cast<std::uint16_t>(end.kind));
  footer.setStatus(end.status);
  footer.setOutOfMemoryKill(end.out_of_memory);
  footer.setStopReason(stopped);
  footer.setEndTime(clock_.now());
  footer.setEvents(encoder_.events().next_event());
  footer.setChunks(encoder_.chunks() + 1);
  footer.setRecorderCpu(nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime));
  footer.setRecorderPeakRss(static_cast<std::uint64_t>(usage.ru_maxrss) << 10);
  footer.setPeakLiveBytes(matcher_.totals().peak_bytes);
  footer.setPeakLiveTime(clock_.Nanoseconds(matcher_.totals().peak_stamp));
  // Where not even this fits, the trace ends without: its reader says so.
  (void)encoder_.WriteFooter(message);
}

// After an exec the process lives on with another program, and the session's memory is mapped no more.
bool Recorder::HasExecuted() {
  constexpr std::uint64_t kCheckNs = 20'000'000;
  if (!executing_ring_.has_value() || !watch_.has_value() || clock_.now() < executing_check_) return false;
  executing_check_ = clock_.now() + kCheckNs;
  return !watch_->Maps("memfd:leaktrace");
}

void Recorder::Sleep() {
  std::atomic<std::uint32_t>& asleep = session_.header().recorder_asleep;
  // A thread that fills half of its ring after this store sees it (sequentially consistent with the thread's store of
  // head and load of this word) and wakes the recorder; one that did so before is seen by nothing but the time limit,
  // which is short.
  asleep.store(1, std::memory_order_seq_cst);
  const timespec limit{0, kSleepNs};
  syscall(SYS_futex, &asleep, FUTEX_WAIT, 1, &limit, nullptr, 0);
  asleep.store(0, std::memory_order_relaxed);
}

// An output path without the process's number is the same for all processes of a tree: those that come while the first
// one still writes get their number into theirs.
absl::StatusOr<std::unique_ptr<trace::TraceWriter>> CreateTrace(const SessionFacts& facts) {
  auto writer = trace::TraceWriter::Create(facts.output_path);
  if (writer.status().code() != absl::StatusCode::kAlreadyExists) return writer;
  std::string path = facts.output_path;
  const std::size_t name = path.rfind('/') + 1, dot = path.rfind('.');
  path.insert(dot == std::string::npos || dot <= name ? path.size() : dot, absl::StrCat(".", facts.pid));
  return trace::TraceWriter::Create(path);
}

}  // namespace

absl::Status Record(int session_descriptor) {
  absl::StatusOr<Session> session = Session::Map(session_descriptor);
  if (!session.ok()) return session.status();
  session->header().recorder_pid.store(static_cast<std::uint32_t>(getpid()), std::memory_order_release);
  session->SetRecorderState(RecorderState::kAttached);
  auto writer = CreateTrace(session->facts());
  if (!writer.ok()) {
    session->SetRecorderState(RecorderState::kFailed);
    return writer.status();
  }
  return Recorder(*session, *std::move(writer)).Run();
}

}  // namespace leaktrace::record
