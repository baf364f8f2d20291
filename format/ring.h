// The shared memory between the preloaded library and its recorder: one session, its threads' rings, and the tables that the
// recorder prepares for the library.
//
// Guarantees
// - Plain data. Nothing here allocates, throws or calls the system; it compiles freestanding and includes only what a freestanding
//   C++20 has. Every offset is from the start of the memfd, every struct is pinned by static_assert.
// - The target creates the memfd (sparse: pages exist once touched), maps it shared and hands the descriptor to the recorder.
//   No side may trust a value of the other: copy first, then check against the bounds below.
// - Each thread of the target writes only its own ring (one producer); the recorder reads all of them (one consumer).
//
// Order of events
// Stamps are read so that events on one address are always in order, whatever the threads do:
// - a release (free, munmap, begin of realloc) is stamped and published BEFORE the memory is released;
// - an acquisition (malloc, mmap, end of realloc) is stamped and published AFTER the memory was obtained and BEFORE the hook returns.
// So when a thread gets an address that another gave back, the other's release is already published, with an earlier stamp. A recorder
// that takes a watermark (the clock), then reads every ring's head, then handles all events stamped below the watermark in the order of
// their stamps therefore sees every address's events in order. An event that is published late (its thread was suspended between stamp
// and publication) is handled in the next pass; only its place among events of other addresses is off.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace leaktrace::format {

inline constexpr std::uint64_t kSessionMagic = 0x6563'6172'746b'616c;  // any constant that chance does not make
inline constexpr std::uint32_t kSessionVersion = 1;

inline constexpr std::uint32_t kMaxThreads = 4096;        // rings; a slot is used again once its thread ended and its ring was drained
inline constexpr std::uint32_t kMaxUnwindModules = 512;
inline constexpr std::uint32_t kMaxPath = 4096;
inline constexpr std::uint32_t kMaxArguments = 16384;     // bytes, NUL-separated
inline constexpr std::uint32_t kMinRingBytes = 64 << 10;  // rings are powers of two
inline constexpr std::uint32_t kDefaultRingBytes = 1 << 20;
inline constexpr std::uint32_t kMaxRingBytes = 64 << 20;
inline constexpr std::uint32_t kDefaultMaxDepth = 128;
inline constexpr std::uint32_t kMaxMaxDepth = 1024;

// ---- Records -------------------------------------------------------------------------------------------------------------------------
//
// A ring is an array of 64-bit words; a record is a run of words that may wrap around the ring's end. Word 0 of every record:
//
//   63                                          8 7      0
//   +--------------------------------------------+--------+
//   | stamp: clock ticks since the session began |   op   |
//   +--------------------------------------------+--------+
//
// A stamp counts TSC ticks (ClockKind::kTsc: 56 bits are 333 days at 2.5 GHz) or a shared sequence (ClockKind::kSequence).

enum class Op : std::uint8_t {
  kNone = 0,           // never written
  kFrame = 1,          // 3 words: a node of this thread's stack tree
  kAlloc = 2,          // 3 words: a block was allocated
  kFree = 3,           // 2 words: a block is about to be freed
  kReallocBegin = 4,   // 2 words: a block is about to be resized; until the end or cancel it is neither live nor free
  kReallocEnd = 5,     // 3 words: ... and now is this block (same layout as kAlloc). Follows its begin in the same ring
  kReallocCancel = 6,  // 1 word: ... and failed: the block of the begin is live again, as it was
  kMap = 7,            // 5 words: mmap
  kUnmap = 8,          // 3 words: munmap is about to be called
  kUnmapCancel = 9,    // 1 word: ... and failed
  kRemapBegin = 10,    // 3 words: mremap is about to be called (address, old length)
  kRemapEnd = 11,      // 5 words: ... and the mapping is now here (layout of kMap)
  kRemapCancel = 12,   // 1 word: ... and failed
  kAdvise = 13,        // 4 words: madvise that gives memory back (MADV_DONTNEED, MADV_FREE, MADV_REMOVE)
  kHeapDestroy = 14,   // 2 words: every live block of a heap is about to be freed at once; BlockWord.address is the heap
  kHeapBlock = 15,     // 2 words: the block of the kAlloc before it in this ring belongs to this heap; BlockWord.address is the heap
  kThreadStart = 16,   // variable: text = the thread's name
  kThreadEnd = 17,     // 1 word: the last record of this thread; its ring is free once it is drained
  kModule = 18,        // variable: ModuleRecord, then the path: a module was loaded (at start-up: was there)
  kModuleUnload = 19,  // 2 words: word 1 = the module's load address
  kSocket = 20,        // 3 words: a socket call of a server's connection, see SocketWord
  kMark = 21,          // variable: MarkRecord, then text: the name of a run phase, or a note
  kRoute = 22,         // variable: text: what this thread works on from here on is for this route ("" = none)
  kJsHeap = 23,        // variable: JsHeapRecord
  kObjectCounts = 24,  // variable: text: JSON object of JavaScript object counts by type
  kCodeAdd = 25,       // variable: CodeRecord, then the name: JavaScript code (machine code or bytecode) came into being
  kCodeMove = 26,      // 4 words: isolate, old start, new start
  kCodeRemove = 27,    // 3 words: isolate, start
  kCodeLines = 28,     // variable: CodeLinesRecord, then pairs of u32 (code offset, source position)
  kScript = 29,        // variable: ScriptRecord, then the URL
  kSource = 30,        // variable: SourceRecord, then a part of the source's text
  kSchedule = 31,      // 4 words: work was queued for a pool thread: word 1 = the work's address, word 2 = stack node, word 3 = kind
  kScheduled = 32,     // 3 words: a pool thread begins (word 1 = the work's address) or ends (0) that work; word 2 = the ring that queued it
  kProcess = 33,       // variable: ProcessRecord, then text: fork, exec, exit as they are about to happen
  kJsFunction = 34,    // variable: JsFunctionRecord, then name NUL url: what a JavaScriptCore CodeBlock is
};

// Word 1 of records that name a block.
//
//   63 62 61     58 57       54 53      48 47                                0
//   +-----+---------+-----------+----------+----------------------------------+
//   |  0  | request |           |  entry   |                                  |
//   |     |  phase  | allocator |  point   |             address              |
//   +-----+---------+-----------+----------+----------------------------------+
struct BlockWord {
  static constexpr int kAddressBits = 48, kEntryBits = 6, kAllocatorBits = 4, kPhaseBits = 4;
  static constexpr std::uint64_t Pack(std::uint64_t address, unsigned entry, unsigned allocator, unsigned phase) {
    return (address & ((1ull << 48) - 1)) | (std::uint64_t{entry & 63} << 48) | (std::uint64_t{allocator & 15} << 54) |
           (std::uint64_t{phase & 15} << 58);
  }
  static constexpr std::uint64_t Address(std::uint64_t word) { return word & ((1ull << 48) - 1); }
  static constexpr unsigned Entry(std::uint64_t word) { return (word >> 48) & 63; }
  static constexpr unsigned Allocator(std::uint64_t word) { return (word >> 54) & 15; }
  static constexpr unsigned Phase(std::uint64_t word) { return (word >> 58) & 15; }
};

// Word 2 of kAlloc and kReallocEnd: requested bytes (40 bits, larger saturates) and the stack's innermost node (24 bits, 0 = no stack).
struct SizeWord {
  static constexpr std::uint64_t kMaxSize = (1ull << 40) - 1;
  static constexpr std::uint32_t kMaxNode = (1u << 24) - 1;
  static constexpr std::uint64_t Pack(std::uint64_t size, std::uint32_t node) {
    return (size < kMaxSize ? size : kMaxSize) | (std::uint64_t{node & kMaxNode} << 40);
  }
  static constexpr std::uint64_t Size(std::uint64_t word) { return word & kMaxSize; }
  static constexpr std::uint32_t Node(std::uint64_t word) { return static_cast<std::uint32_t>(word >> 40); }
};

// kMap and kRemapEnd: word 1 = address, word 2 = length, word 3 = node:24 | prot:8 | flags:32 (as passed to mmap), word 4 = file offset,
// or ~0 for an anonymous mapping. Word 1's bits 58..61 carry the request phase as in BlockWord.
struct MapWord {
  static constexpr std::uint64_t kAnonymous = ~0ull;
  static constexpr std::uint64_t Pack(std::uint32_t node, unsigned prot, std::uint32_t flags) {
    return (std::uint64_t{node & SizeWord::kMaxNode} << 40) | (std::uint64_t{prot & 255} << 32) | flags;
  }
  static constexpr std::uint32_t Node(std::uint64_t word) { return static_cast<std::uint32_t>(word >> 40); }
  static constexpr unsigned Prot(std::uint64_t word) { return (word >> 32) & 255; }
  static constexpr std::uint32_t Flags(std::uint64_t word) { return static_cast<std::uint32_t>(word); }
};
// kUnmap, kRemapBegin: word 1 = address, word 2 = length. kAdvise: the same, word 3 = advice.

// kFrame: defines the next node of this ring's stack tree: the first frame of a ring is node 1, the next node 2, ... A node is a frame and
// the node of its caller (0: the outermost frame). Word 1 = parent:32 | auxiliary:32, word 2 = FrameWord. A parent is always defined before.
// Nodes begin anew at 1 after kThreadStart and after a kFrame whose word 1 is ~0 and word 2 is 0 (the thread emptied its table).
//
//   63   60 59                                                     0
//   +------+--------------------------------------------------------+
//   | kind |                         value                          |
//   +------+--------------------------------------------------------+
enum class FrameKind : std::uint8_t {
  kNative = 0,         // value = return address (the call is before it)
  kInterpreted = 1,    // V8 interpreter: value = address of the bytecode being executed (BytecodeArray + offset)
  kJit = 2,            // V8 machine code: value = return address
  kJsc = 3,            // JavaScriptCore: value = id of a kJsFunction of this session, auxiliary = call-site index
  kTruncated = 4,      // the stack goes on beyond the depth limit; value = frames kept
  kBroken = 5,         // the unwinder could not go on here; value = the last return address
  kScheduledBy = 6,    // below this frame: the stack that queued the work, not callers
  kSignal = 7,         // value = the interrupted instruction: a signal handler runs above it
};
struct FrameWord {
  static constexpr std::uint64_t Pack(FrameKind kind, std::uint64_t value) {
    return (std::uint64_t{static_cast<std::uint8_t>(kind)} << 60) | (value & ((1ull << 60) - 1));
  }
  static constexpr FrameKind Kind(std::uint64_t word) { return static_cast<FrameKind>(word >> 60); }
  static constexpr std::uint64_t Value(std::uint64_t word) { return word & ((1ull << 60) - 1); }
};

// Which function was called (BlockWord::Entry). Also the entry points of an allocator that is linked statically.
enum class EntryPoint : std::uint8_t {
  kUnknown = 0, kMalloc, kCalloc, kRealloc, kReallocarray, kFree, kMemalign, kAlignedAlloc, kPosixMemalign, kValloc, kPvalloc,
  kFreeSized, kFreeAlignedSized, kNew, kNewArray, kNewNothrow, kNewArrayNothrow, kNewAligned, kNewArrayAligned, kDelete, kDeleteArray,
  kZalloc, kReallocf, kRezalloc, kRecalloc, kStrdup, kHeapNew, kHeapDelete, kHeapDestroy, kExpand, kMmap, kMremap, kMunmap,
  kCount
};

inline constexpr unsigned kAllocatorLibc = 0;  // others: index + 1 into the hook map's allocators
inline constexpr unsigned kMaxAllocators = 16;

// What the thread was doing for a request when it allocated (BlockWord::Phase).
enum class RequestPhase : std::uint8_t { kNone = 0, kAccept, kReceive, kRespond, kClose, kIdle, kBackground, kCount };

// kSocket: word 1 = fd:32 | SocketEvent:8 | flags, word 2 = bytes, or for kAccepted the listening descriptor.
enum class SocketEvent : std::uint8_t { kAccepted = 1, kReceived, kSent, kClosed, kRequest, kListening };

// Variable records: word 1 = bytes of what follows (at most kMaxVariableBytes), then the bytes, padded with zeroes to a word.
inline constexpr std::uint32_t kMaxVariableBytes = 32 << 10;

struct ModuleRecord {
  std::uint64_t load_address;      // what is added to the ELF file's addresses
  std::uint64_t begin, end;        // first byte and end of its mapped segments
  std::uint64_t text_begin, text_end;  // of its executable segments
  std::uint64_t eh_frame_header;   // address of PT_GNU_EH_FRAME in the target, 0 = none
  std::uint32_t build_id_bytes;    // 0 = none
  std::uint32_t path_bytes;        // the path follows this struct
  std::uint8_t build_id[32];
};
static_assert(sizeof(ModuleRecord) == 88);

enum class MarkKind : std::uint32_t { kPhase = 1, kNote = 2, kGarbageCollection = 3 };
struct MarkRecord {
  MarkKind kind;
  std::uint32_t text_bytes;
};
static_assert(sizeof(MarkRecord) == 8);

struct JsHeapRecord {  // bytes; ~0 = not known
  std::uint64_t heap_used, heap_total, external, array_buffers, rss;
};
static_assert(sizeof(JsHeapRecord) == 40);

enum class CodeKind : std::uint32_t { kBuiltin = 0, kBytecode = 1, kBaseline = 2, kOptimized = 3, kOther = 4 };
struct CodeRecord {
  std::uint64_t isolate, start;
  std::uint32_t size;
  std::uint32_t reserved1;
  CodeKind kind;
  std::uint32_t script;  // id of a kScript, 0 = none
  std::uint32_t name_bytes, reserved;
};
static_assert(sizeof(CodeRecord) == 40);

struct CodeLinesRecord {
  std::uint64_t isolate, start;
  std::uint32_t count, reserved;
};
static_assert(sizeof(CodeLinesRecord) == 24);

struct ScriptRecord {
  std::uint32_t id;            // 1, 2, ... session-wide
  std::uint32_t source_bytes;  // of the text as the engine has it, which follows in kSource records; 0 = it does not follow
  std::uint32_t wide;          // 0: one byte a character (Latin-1); 1: UTF-16, little-endian
  std::uint32_t url_bytes;
};
struct SourceRecord {
  std::uint32_t script, offset, total_bytes, part_bytes;
};
static_assert(sizeof(ScriptRecord) == 16 && sizeof(SourceRecord) == 16);

struct JsFunctionRecord {
  std::uint32_t id;          // 1, 2, ... in the order of first sight, session-wide
  std::uint32_t script;      // id of a kScript: the provider of its source, 0 = none
  std::uint32_t start, end;  // of the function in that source, in characters: its parameter list, and behind its last brace
  std::uint32_t top_level;   // 1: the code of a whole script or module, or of an eval
  std::uint32_t reserved;
  std::uint32_t name_bytes, url_bytes;
};
static_assert(sizeof(JsFunctionRecord) == 32);

enum class ProcessEvent : std::uint32_t { kFork = 1, kExec = 2, kSpawn = 3, kExit = 4 };
struct ProcessRecord {
  ProcessEvent event;
  std::int32_t status;  // exit status, or the child's pid
  std::uint32_t text_bytes, reserved;
};
static_assert(sizeof(ProcessRecord) == 16);

// Words of a record of fixed length; 0: a variable record (or an op that this version does not know: the ring cannot be read further).
constexpr unsigned FixedWords(Op op) {
  switch (op) {
    case Op::kReallocCancel: case Op::kUnmapCancel: case Op::kRemapCancel: case Op::kThreadEnd: return 1;
    case Op::kFree: case Op::kReallocBegin: case Op::kHeapDestroy: case Op::kHeapBlock: case Op::kModuleUnload: return 2;
    case Op::kFrame: case Op::kAlloc: case Op::kReallocEnd: case Op::kUnmap: case Op::kRemapBegin: case Op::kSocket:
    case Op::kCodeRemove: case Op::kScheduled: return 3;
    case Op::kAdvise: case Op::kCodeMove: case Op::kSchedule: return 4;
    case Op::kMap: case Op::kRemapEnd: return 5;
    default: return 0;
  }
}
constexpr bool IsVariable(Op op) {
  switch (op) {
    case Op::kThreadStart: case Op::kModule: case Op::kMark: case Op::kRoute: case Op::kJsHeap: case Op::kObjectCounts: case Op::kCodeAdd:
    case Op::kCodeLines: case Op::kScript: case Op::kSource: case Op::kProcess: case Op::kJsFunction: return true;
    default: return false;
  }
}

// ---- The session's memory --------------------------------------------------------------------------------------------------------------

enum class SlotState : std::uint32_t {
  kFree = 0,     // may be taken by a new thread (compare-and-swap to kActive)
  kActive = 1,   // its thread lives
  kEnding = 2,   // its thread has published its last record; the recorder sets kFree when it has read it
};

// One thread's ring. head and tail count words since the slot was first used and never wrap; the ring's word i is at i mod words.
struct alignas(64) ThreadSlot {
  std::atomic<SlotState> state;
  std::uint32_t tid;
  std::atomic<std::uint64_t> dropped;     // events that were lost because the ring was full (overflow=drop)
  std::atomic<std::uint64_t> truncated;   // stacks deeper than the limit
  std::atomic<std::uint64_t> broken;      // stacks whose end was not reached
  std::atomic<std::uint64_t> waits;       // times that the thread waited for the recorder
  alignas(64) std::atomic<std::uint64_t> head;  // release store by the thread after the words; matched by the recorder's acquire load
  alignas(64) std::atomic<std::uint64_t> tail;  // release store by the recorder after reading; matched by the thread's acquire load
};
static_assert(sizeof(ThreadSlot) == 192);

// How to find a frame's caller at a program counter, the compact form of one .eh_frame row. Rows are sorted by pc; a row holds from its pc
// to the next row's.
enum class UnwindRule : std::uint8_t {
  kNoRow = 0,      // not covered: use the frame pointer
  kRsp = 1,        // CFA = rsp + cfa_offset
  kRbp = 2,        // CFA = rbp + cfa_offset
  kPlt = 3,        // CFA = rsp + 8 + ((pc & 15) >= cfa_offset ? 8 : 0), the expression of every x86-64 .plt
  kEnd = 4,        // the return address is undefined: outermost frame
  kSignalFrame = 5,  // rt_sigreturn: registers are in the ucontext at rsp
  kUnsupported = 6,  // an expression that has no compact form
  kRbpDeref = 7,   // CFA = *(rbp + cfa_offset), and the caller's rbp is at rbp + 8 * rbp_offset: a function that realigns its stack
  kRspWords = 8,   // CFA = rsp + 8 * cfa_offset: a frame too large for kRsp
};
struct UnwindRow {
  std::uint32_t pc;          // from the module's load address
  UnwindRule rule;
  std::int8_t rbp_offset;    // the caller's rbp is at CFA + 8 * this; 0 = unchanged
  std::int16_t cfa_offset;
};
static_assert(sizeof(UnwindRow) == 8);

// A module's rows. The recorder fills a slot, then sets generation to an odd number (release); the library's acquire load of it matches.
// A slot is emptied by an even number, never reused for another module within a session.
struct UnwindModule {
  std::atomic<std::uint32_t> generation;
  std::uint32_t row_count;
  std::uint64_t begin, end;       // executable addresses covered
  std::uint64_t load_address;
  std::uint64_t rows_offset;      // of UnwindRow[row_count] in the session's memory
};
static_assert(sizeof(UnwindModule) == 40);

enum class ClockKind : std::uint32_t { kTsc = 0, kSequence = 1 };
enum class Unwinder : std::uint32_t { kRows = 0, kFramePointer = 1, kLibunwind = 2 };
enum class OverflowPolicy : std::uint32_t { kWait = 0, kDrop = 1 };
enum class JsNames : std::uint32_t { kNames = 0, kOff = 1, kExact = 2 };

enum class TargetState : std::uint32_t {
  kOff = 0, kStarting = 1, kRecording = 2,
  kStopped = 3,      // the library stopped recording and the target goes on; StopReason says why
};
enum class StopReason : std::uint32_t { kNone = 0, kRecorderLost, kRecorderStuck, kOutOfMemory, kTooManyThreads, kExit, kExec };
enum class RecorderState : std::uint32_t {
  kAbsent = 0,
  kAttached = 1,     // has mapped the session and watches the target
  kReady = 2,        // unwind rows and hook map are there: recording may begin
  kFinished = 3,     // the trace is complete
  kFailed = 4,       // gave up: the library must stop
};
enum class EndKind : std::uint32_t { kUnknown = 0, kExit = 1, kSignal = 2 };

struct SessionOptions {
  std::uint32_t ring_bytes;
  std::uint32_t max_depth;
  Unwinder unwinder;
  OverflowPolicy overflow;
  JsNames js;
  std::uint32_t keep_libpas;       // 1: do not switch JavaScriptCore's allocator to the system's
  std::uint32_t hooks;             // 1: look for allocators that are linked statically
  std::uint32_t reserved[9];
};
static_assert(sizeof(SessionOptions) == 64);

struct alignas(64) SessionHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_bytes;
  std::uint64_t total_bytes;
  std::uint64_t slots_offset;          // ThreadSlot[kMaxThreads]
  std::uint64_t modules_offset;        // UnwindModule[kMaxUnwindModules]
  std::uint64_t hook_map_offset;       // HookMapTable (hook_map.h)
  std::uint64_t rows_offset, rows_bytes;  // the recorder's to fill: unwind rows
  std::uint64_t rings_offset;          // ring i at rings_offset + i * options.ring_bytes
  std::uint64_t jsc_layout_offset;     // JscLayout (jsc_layout.h)

  std::uint32_t pid, parent_pid;
  ClockKind clock;
  std::uint32_t argument_bytes;
  std::uint32_t forked;                // 1: a forked child, which frees blocks that its parent allocated
  std::uint64_t start_ticks;           // of the clock; stamps count from here
  std::uint64_t start_monotonic_ns;    // CLOCK_MONOTONIC at start_ticks
  std::uint64_t start_realtime_ns;     // CLOCK_REALTIME at start_ticks
  SessionOptions options;

  // Written by the target. Each is an acquire/release pair with the recorder's loads.
  alignas(64) std::atomic<TargetState> target_state;
  std::atomic<StopReason> stop_reason;
  std::atomic<std::uint32_t> slot_count;     // slots that were ever used: the recorder looks at these
  std::atomic<EndKind> end_kind;             // set by the exit hooks before the target ends
  std::atomic<std::int32_t> end_status;
  std::atomic<std::uint32_t> patch_state;    // PatchState of hook_map.h
  std::atomic<std::uint32_t> module_requests;  // modules that the library has announced (records kModule)

  // Written by the recorder.
  alignas(64) std::atomic<RecorderState> recorder_state;  // a futex word: the library waits on it
  std::atomic<std::uint32_t> modules_ready;  // announced modules whose rows are there or will never be; a futex word
  std::atomic<std::uint32_t> unwind_epoch;   // changes when an UnwindModule does: per-thread caches are void
  std::atomic<std::uint32_t> recorder_pid;
  std::atomic<std::uint64_t> progress;       // grows with every pass; stands still only when the recorder is stuck

  // The recorder sleeps on this word (futex) while nothing is to be done: it stores 1 before it sleeps; a thread whose ring is half full
  // exchanges it for 0 and wakes it.
  alignas(64) std::atomic<std::uint32_t> recorder_asleep;

  alignas(64) std::atomic<std::uint64_t> sequence;  // the clock where the TSC cannot be trusted

  alignas(64) char output_path[kMaxPath];   // absolute, NUL-terminated, %e %p %t already replaced
  char executable[kMaxPath];                // of the target
  char arguments[kMaxArguments];            // NUL-separated, argument_bytes long
};

constexpr std::uint64_t AlignUp(std::uint64_t value, std::uint64_t alignment) { return (value + alignment - 1) & ~(alignment - 1); }

}  // namespace leaktrace::format
