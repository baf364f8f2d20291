// V8: asks each isolate for its code events, records them, and recognises interpreted and compiled frames.
//
// Sources: v8/include/v8-callbacks.h, v8-isolate.h, src/execution/frame-constants.h (UnoptimizedFrameConstants), and
// measurement on Node 20 to 26: the offsets of an interpreted frame's bytecode array and offset are exported as
// v8dbg_off_fp_*.
#include <dlfcn.h>

#include "format/ring.h"
#include "preload/base/loader_error.h"
#include "preload/base/memory.h"
#include "preload/base/syscall.h"
#include "preload/js/frames.h"
#include "preload/js/v8_api.h"
#include "preload/session/clock.h"
#include "preload/thread/guard.h"
#include "preload/thread/ring_writer.h"

namespace leaktrace::preload::js {
namespace {

V8Api api;

constexpr std::uint32_t kPollEvery = 8;          // frames without a row, while the thread has no isolate
constexpr std::size_t kMostLinePairs = 1 << 16;  // of one piece of code

// The line table that V8 is handing over, pair by pair.
struct LineBuffer {
  std::uint32_t capacity, count;
  struct Pair {
    std::uint32_t code_offset, position;
  } pairs[];
};
constexpr std::size_t kLineBufferBytes = sizeof(LineBuffer) + kMostLinePairs * sizeof(LineBuffer::Pair);

format::CodeKind KindOf(const JitCodeEvent& event) {
  return event.code_type == JitCodeEvent::kByteCode ? format::CodeKind::kBytecode : format::CodeKind::kOther;
}

bool Contains(const CodeRange& range, std::uintptr_t pc) { return pc - range.begin < range.end - range.begin; }

// A return address may lie just behind the code that it belongs to.
bool ReturnsInto(const CodeRange& range, std::uintptr_t pc) { return Contains(range, pc - 1); }

void NoteInterpreter(const char* name, std::size_t length, std::uintptr_t begin, std::size_t bytes) {
  constexpr char kPrefix[] = "Builtin:Interpreter";
  constexpr std::size_t kPrefixLength = sizeof kPrefix - 1;
  if (length < kPrefixLength || !Equal(name, kPrefixLength, kPrefix)) return;
  const char* const rest = name + kPrefixLength;
  const std::size_t left = length - kPrefixLength;
  // EntryTrampoline, EntryTrampolineForProfiling, EnterAtBytecode, EnterAtNextBytecode. The others have frames of their
  // own.
  if (!(left >= 15 && Equal(rest, 15, "EntryTrampoline")) && !(left >= 7 && Equal(rest, 7, "EnterAt"))) return;
  EngineState& state = engine_state;
  if (state.interpreter_count < 8) state.interpreter[state.interpreter_count++] = {begin, begin + bytes};
}

void RecordAdded(ThreadState& thread, const JitCodeEvent& event) {
  const format::CodeRecord record{.isolate = reinterpret_cast<std::uintptr_t>(event.isolate),
                                  .start = reinterpret_cast<std::uintptr_t>(event.code_start),
                                  .size = static_cast<std::uint32_t>(event.code_bytes),
                                  .reserved1 = 0,
                                  .kind = KindOf(event),
                                  .script = 0,
                                  .name_bytes = static_cast<std::uint32_t>(event.name.bytes),
                                  .reserved = 0};
  NoteInterpreter(event.name.text, event.name.bytes, record.start, event.code_bytes);
  AppendVariable(thread, format::Op::kCodeAdd, StampRelease(), &record, sizeof record, event.name.text,
                 event.name.bytes);
}

void RecordLines(ThreadState& thread, const JitCodeEvent& event, const LineBuffer& lines) {
  constexpr std::uint32_t kPairsPerRecord =
      (format::kMaxVariableBytes - sizeof(format::CodeLinesRecord)) / sizeof(LineBuffer::Pair);
  for (std::uint32_t at = 0; at < lines.count; at += kPairsPerRecord) {
    const std::uint32_t count = lines.count - at < kPairsPerRecord ? lines.count - at : kPairsPerRecord;
    const format::CodeLinesRecord record{.isolate = reinterpret_cast<std::uintptr_t>(event.isolate),
                                         .start = reinterpret_cast<std::uintptr_t>(event.code_start),
                                         .count = count,
                                         .reserved = 0};
    AppendVariable(thread, format::Op::kCodeLines, StampRelease(), &record, sizeof record, lines.pairs + at,
                   count * sizeof(LineBuffer::Pair));
  }
}

// V8 calls this on the thread that made, moved or removed the code: mostly the isolate's own, outside any hook.
void OnCodeEvent(const JitCodeEvent* event) {
  if (event->type == JitCodeEvent::kAddLine) {
    auto* const lines = static_cast<LineBuffer*>(event->user_data);
    if (lines != nullptr && lines->count < kMostLinePairs) {
      lines->pairs[lines->count++] = {static_cast<std::uint32_t>(event->line.offset),
                                      static_cast<std::uint32_t>(event->line.position)};
    }
    return;
  }
  if (event->type == JitCodeEvent::kStartLines) {
    // Documented as the handler's to set (v8-callbacks.h). The pages are touched only as far as they are filled.
    const_cast<JitCodeEvent*>(event)->user_data = MapPages(kLineBufferBytes);
    return;
  }
  if (const HookGuard guard; guard.Records()) {
    guard.Write();
    ThreadState& thread = guard.Thread();
    switch (event->type) {
      case JitCodeEvent::kAdded:
        RecordAdded(thread, *event);
        break;
      case JitCodeEvent::kMoved:
        Append(thread, RecordWord(format::Op::kCodeMove, StampRelease()),
               reinterpret_cast<std::uint64_t>(event->isolate), reinterpret_cast<std::uint64_t>(event->code_start),
               reinterpret_cast<std::uint64_t>(event->new_start));
        break;
      case JitCodeEvent::kRemoved:
        Append(thread, RecordWord(format::Op::kCodeRemove, StampRelease()),
               reinterpret_cast<std::uint64_t>(event->isolate), reinterpret_cast<std::uint64_t>(event->code_start));
        break;
      case JitCodeEvent::kEndLines:
        if (event->user_data != nullptr) RecordLines(thread, *event, *static_cast<const LineBuffer*>(event->user_data));
        break;
      case JitCodeEvent::kAddLine:
      case JitCodeEvent::kStartLines:
        break;
    }
  }
  if (event->type == JitCodeEvent::kEndLines && event->user_data != nullptr)
    UnmapPages(event->user_data, kLineBufferBytes);
}

// Code moves and its memory is used again only in a full collection. What is captured before and during one must not be
// taken for what is captured after it.
void OnFullCollection(void*, int, int, void*) { ++engine_state.epoch; }

// True from V8 12 on (Node 22), which has no copies of the builtins. False where the version is not known.
bool RunsBuiltinsInPlace() {
  using Version = const char* (*)();
  const auto version = reinterpret_cast<Version>(dlsym(RTLD_DEFAULT, "_ZN2v82V810GetVersionEv"));
  if (version == nullptr) {
    ForgetLoaderError();
    return false;
  }
  int major = 0;
  for (const char* at = version(); *at >= '0' && *at <= '9'; ++at) major = 10 * major + (*at - '0');
  constexpr int kFirstInPlace = 12;
  return major >= kFirstInPlace;
}

// Node 20 runs a copy of the executable's builtins that lies in the isolate's code range; V8 reports the executable's
// addresses.
void FindEmbeddedCopy(void* isolate) {
  const void* embedded = nullptr;
  void* range = nullptr;
  std::size_t embedded_bytes = 0, range_bytes = 0;
  api.get_embedded_code(isolate, &embedded, &embedded_bytes);
  api.get_code_range(isolate, &range, &range_bytes);
  EngineState& state = engine_state;
  const auto begin = reinterpret_cast<std::uintptr_t>(range);
  state.code = {begin, begin + range_bytes};
  constexpr std::size_t kPage = 4096, kSample = 256;
  if (embedded_bytes < kSample || RunsBuiltinsInPlace()) return;
  // The copy begins at a page of the range. Parts of the range are not readable, so the kernel reads for us.
  unsigned char sample[kSample];
  struct Vector {
    void* base;
    std::size_t bytes;
  };
  const auto read = [&sample](std::uintptr_t at) {
    const Vector local{sample, kSample}, remote{reinterpret_cast<void*>(at), kSample};
    return Syscall(SYS_process_vm_readv, process.pid, Argument(&local), 1, Argument(&remote), 1, 0) ==
           static_cast<long>(kSample);
  };
  for (std::uintptr_t at = begin; at + embedded_bytes <= begin + range_bytes; at += kPage) {
    // Most of the range is reserved only: where a copy that began here would end in such memory, so would every one
    // that began before that.
    const std::uintptr_t end = at + embedded_bytes - kSample;
    if (!read(end)) {
      at = end & ~(kPage - 1);
      continue;
    }
    if (!read(at) || __builtin_memcmp(sample, embedded, kSample) != 0) continue;
    state.embedded_copy = {at, at + embedded_bytes};
    state.to_embedded = reinterpret_cast<std::uintptr_t>(embedded) - at;
    return;
  }
}

// Runs at a safe point of the isolate, on its thread.
void Install(void* isolate, void*) {
  FindEmbeddedCopy(isolate);
  api.set_jit_code_event_handler(isolate, kJitCodeEventEnumerateExisting, &OnCodeEvent);
  api.add_gc_prologue(isolate, &OnFullCollection, nullptr, kGcMarkSweepCompact);
  api.add_gc_epilogue(isolate, &OnFullCollection, nullptr, kGcMarkSweepCompact);
  ++engine_state.epoch;
}

// Asks the isolate of this thread, if it has one by now, for an interrupt in which the handler is installed.
// RequestInterrupt queues the callback in a container of the C++ heap, nothing of V8's: the hooks that this runs
// through must not record, hence the guard.
LEAKTRACE_COLD void RequestInstall(ThreadState& thread) {
  void* const isolate = api.try_get_current();
  if (isolate == nullptr) return;
  engine_state.isolate = isolate;
  const QuietScope quiet(thread);
  api.request_interrupt(isolate, &Install, nullptr);
}

template <typename Function>
bool Find(Function*& function, const char* symbol) {
  function = reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, symbol));
  if (function == nullptr) ForgetLoaderError();
  return function != nullptr;
}

}  // namespace

bool DescribeV8Frame(ThreadState& thread, std::uintptr_t pc, std::uintptr_t fp, Frame& frame) {
  EngineState& state = engine_state;
  if (state.isolate == nullptr) [[unlikely]] {
    if (thread.transient != Transient::kNo || state.polls++ % kPollEvery != 0) return false;
    RequestInstall(thread);
    return false;
  }
  frame.auxiliary = 0;
  frame.checked = 0;
  std::uintptr_t code = pc;
  if (ReturnsInto(state.embedded_copy, pc)) code += state.to_embedded;
  for (std::uint32_t i = 0; i < state.interpreter_count; ++i) {
    if (!ReturnsInto(state.interpreter[i], code) && !ReturnsInto(state.interpreter[i], pc)) continue;
    const auto* const array = reinterpret_cast<const std::uint64_t*>(fp + *api.bytecode_array_offset);
    const auto* const offset = reinterpret_cast<const std::uint64_t*>(fp + *api.bytecode_offset_offset);
    // A tagged pointer ends in 01; the offset is a small integer in the upper half.
    if ((*array & 3) != 1 || (*offset & 0xffffffff) != 0) return false;
    frame.word = format::FrameWord::Pack(format::FrameKind::kInterpreted, *array + (*offset >> 32));
    frame.checked = 2;
    frame.slots[0] = array;
    frame.slots[1] = offset;
    return true;
  }
  if (code != pc) {
    frame.word = format::FrameWord::Pack(format::FrameKind::kNative, code);
    return true;
  }
  if (!ReturnsInto(state.code, pc)) return false;
  frame.word = format::FrameWord::Pack(format::FrameKind::kJit, pc);
  return true;
}

// A frame of Sparkplug or Maglev code gives its function but not the line of its call, an inlined frame is not there at
// all, and a function that was compiled lazily has no line table; nor, in Node 24, has some code that TurboFan made on
// another thread.
void MakeV8Exact() {
  if (api.set_flags == nullptr) return;
  for (const char* flag : {"--no-sparkplug", "--no-maglev", "--no-turbo-inlining", "--no-enable-lazy-source-positions",
                           "--no-concurrent-recompilation"}) {
    api.set_flags(flag);
  }
}

bool InitializeV8() {
  Find(api.set_flags, "_ZN2v82V818SetFlagsFromStringEPKc");
  return Find(api.try_get_current, "_ZN2v87Isolate13TryGetCurrentEv") &&
         Find(api.set_jit_code_event_handler,
              "_ZN2v87Isolate22SetJitCodeEventHandlerENS_19JitCodeEventOptionsEPFvPKNS_12JitCodeEventEE") &&
         Find(api.request_interrupt, "_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_") &&
         Find(api.add_gc_prologue,
              "_ZN2v87Isolate21AddGCPrologueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_") &&
         Find(api.add_gc_epilogue,
              "_ZN2v87Isolate21AddGCEpilogueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_") &&
         Find(api.get_embedded_code, "_ZN2v87Isolate20GetEmbeddedCodeRangeEPPKvPm") &&
         Find(api.get_code_range, "_ZN2v87Isolate12GetCodeRangeEPPvPm") &&
         Find(api.bytecode_array_offset, "v8dbg_off_fp_bytecode_array") &&
         Find(api.bytecode_offset_offset, "v8dbg_off_fp_bytecode_offset");
}

}  // namespace leaktrace::preload::js
