#include "preload/session/session.h"

#include "preload/base/memory.h"
#include "preload/base/message.h"
#include "preload/base/syscall.h"
#include "preload/session/facts.h"
#include "preload/session/launch.h"
#include "preload/session/process.h"

namespace leaktrace::preload {

constinit SharedMemory shared_memory;

namespace {

using format::RecorderState;
using format::SessionHeader;
using format::StopReason;
using format::TargetState;

constexpr std::uint64_t kMillisecond = 1'000'000;

// Grows with each session in a line of forks, so that a thread state from before a fork never fits.
constinit std::uint32_t last_session = kFirstSession - 1;

std::uint64_t RealtimeNanoseconds() {
  KernelTime now{};
  Syscall(SYS_clock_gettime, 0, Argument(&now));
  return static_cast<std::uint64_t>(now.seconds) * 1'000'000'000 + static_cast<std::uint64_t>(now.nanoseconds);
}

bool WriteOutputPath(const Settings& settings, const SessionHeader& header, char* path) {
  TextBuilder text(path, format::kMaxPath);
  for (const char* at = settings.options.output; *at != '\0'; ++at) {
    if (*at != '%') {
      text.Add(*at);
      continue;
    }
    switch (*++at) {
      case 'e':
        text.Add(BaseName(settings.executable));
        break;
      case 'p':
        text.AddNumber(header.pid);
        break;
      case 't':
        text.AddNumber(header.start_realtime_ns / 1'000'000'000);
        break;
      case '%':
        text.Add('%');
        break;
      default:
        return false;
    }
  }
  return text.Complete();
}

bool DescribeTarget(const Settings& settings, SessionHeader& header) {
  header.pid = ProcessId();
  header.parent_pid = static_cast<std::uint32_t>(Syscall(SYS_getppid));
  header.clock = ChooseClock();
  header.start_realtime_ns = RealtimeNanoseconds();
  header.start_monotonic_ns = MonotonicNanoseconds();
  header.start_ticks = header.clock == format::ClockKind::kTsc ? __builtin_ia32_rdtsc() : 0;
  TextBuilder(header.executable, format::kMaxPath).Add(settings.executable);
  Copy(header.arguments, settings.arguments, settings.argument_bytes);
  header.argument_bytes = static_cast<std::uint32_t>(settings.argument_bytes);
  if (WriteOutputPath(settings, header, header.output_path)) return true;
  Say("LEAKTRACE_OUTPUT is too long or has a % that is not %e, %p, %t or %%; not traced");
  return false;
}

}  // namespace

bool CreateSession(const Settings& settings, bool forked) {
  if (!CreateSharedMemory(settings.options.session, shared_memory)) return false;
  SessionHeader& header = *shared_memory.header;
  if (!DescribeTarget(settings, header)) {
    CloseDescriptor(shared_memory);
    Unmap(shared_memory);
    return false;
  }
  header.forked = forked ? 1 : 0;
  process.clock = header.clock;
  process.start_ticks = header.start_ticks;
  process.header = &header;
  process.max_depth = settings.options.session.max_depth;
  process.unwinder = settings.options.session.unwinder;
  process.pid = header.pid;

  const long recorder = LaunchRecorder({.executable = settings.options.recorder,
                                        .descriptor = shared_memory.descriptor,
                                        .environment = settings.environment,
                                        .keep_standard_error = settings.options.verbose});
  CloseDescriptor(shared_memory);
  if (Failed(recorder)) {
    SayError(settings.options.recorder, recorder, "the recorder did not start, not traced");
    Unmap(shared_memory);
    return false;
  }
  header.recorder_pid.store(static_cast<std::uint32_t>(recorder), std::memory_order_relaxed);
  return true;
}

bool AwaitRecorder(std::uint32_t modules) {
  constexpr std::uint64_t kPatience = 10'000 * kMillisecond;
  constexpr std::int64_t kStep = 20 * kMillisecond;
  SessionHeader& header = *shared_memory.header;
  header.module_requests.store(modules, std::memory_order_relaxed);
  // Matched by the recorder's acquire load: it then sees the modules' records and their number.
  header.target_state.store(TargetState::kStarting, std::memory_order_release);
  if (header.recorder_asleep.exchange(0) != 0) FutexWake(&header.recorder_asleep);
  const std::uint64_t begin = MonotonicNanoseconds();
  for (;;) {
    // Matched by the recorder's release store: unwind rows and hook map are there.
    const RecorderState state = header.recorder_state.load(std::memory_order_acquire);
    if (state == RecorderState::kReady) return true;
    if (state == RecorderState::kFailed || state == RecorderState::kFinished) {
      Stop(StopReason::kRecorderLost, "the recorder gave up, LEAKTRACE_VERBOSE=1 shows why; not traced");
      return false;
    }
    if (RecorderIsGone()) {
      Stop(StopReason::kRecorderLost, "the recorder ended, LEAKTRACE_VERBOSE=1 shows why; not traced");
      return false;
    }
    if (MonotonicNanoseconds() - begin > kPatience) {
      Stop(StopReason::kRecorderStuck, "the recorder was not ready within 10 s; not traced");
      return false;
    }
    FutexWait(&header.recorder_state, static_cast<std::uint32_t>(state), kStep);
  }
}

std::uint32_t BeginRecording() {
  shared_memory.header->target_state.store(TargetState::kRecording, std::memory_order_release);
  // Matched by the acquire load of a hook that registers its thread: it then sees the rest of `process`.
  process.session.store(++last_session, std::memory_order_release);
  return last_session;
}

void Stop(StopReason reason, const char* message) {
  SessionHeader& header = *shared_memory.header;
  StopReason none = StopReason::kNone;
  const bool first = header.stop_reason.compare_exchange_strong(none, reason, std::memory_order_relaxed);
  process.session.store(kNotRecording, std::memory_order_relaxed);
  // Matched by the recorder's acquire load: it then sees the reason.
  header.target_state.store(TargetState::kStopped, std::memory_order_release);
  if (first && message != nullptr) Say(message);
}

void AbandonSession() {
  if (shared_memory.header != nullptr) Unmap(shared_memory);
}

bool IsSessionsProcess() { return process.pid == ProcessId(); }

bool RecorderIsGone() {
  constexpr long kNoSuchProcess = -3;
  return Syscall(SYS_kill, shared_memory.header->recorder_pid.load(std::memory_order_relaxed), 0) == kNoSuchProcess;
}

void NoteExit(std::int32_t status) {
  SessionHeader& header = *shared_memory.header;
  header.end_status.store(status & 0xff, std::memory_order_relaxed);
  // Matched by the recorder's acquire load: it then sees the status.
  header.end_kind.store(format::EndKind::kExit, std::memory_order_release);
}

void AwaitTraceIfInit() {
  constexpr std::uint32_t kInit = 1;
  constexpr std::uint64_t kPatience = 2000 * kMillisecond;
  constexpr std::int64_t kStep = 20 * kMillisecond;
  if (process.pid != kInit) return;
  SessionHeader& header = *shared_memory.header;
  Stop(StopReason::kExit, nullptr);
  if (header.recorder_asleep.exchange(0) != 0) FutexWake(&header.recorder_asleep);
  const std::uint64_t begin = MonotonicNanoseconds();
  for (;;) {
    const RecorderState state = header.recorder_state.load(std::memory_order_acquire);
    if (state == RecorderState::kFinished || state == RecorderState::kFailed || RecorderIsGone()) return;
    if (MonotonicNanoseconds() - begin > kPatience) return;
    FutexWait(&header.recorder_state, static_cast<std::uint32_t>(state), kStep);
  }
}

}  // namespace leaktrace::preload
