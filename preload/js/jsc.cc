// JavaScriptCore: recognises JavaScript frames and records, once for each CodeBlock, which function it is.
//
// Sources: Source/JavaScriptCore/interpreter/CallFrame.h (CallFrameSlot), runtime/JSCell.h,
// Source/WTF/wtf/text/StringImpl.h. The offsets that differ between builds come from the recorder
// (format/jsc_layout.h). Cells do not move, and the CodeBlock of a frame on the stack is alive, so its fields may be
// read; what is reached from it for the first time is read through the kernel all the same, so that no layout, however
// wrong, can make the target fault.
#include "format/jsc_layout.h"
#include "format/ring.h"
#include "preload/base/memory.h"
#include "preload/base/syscall.h"
#include "preload/js/frames.h"
#include "preload/session/clock.h"
#include "preload/session/process.h"
#include "preload/thread/ring_writer.h"

namespace leaktrace::preload::js {

// What this thread has recorded of the engine's objects: open addressing, doubled when it is half full.
struct RecordedObjects {
  struct Entry {
    std::uint64_t object;  // 0 = free
    std::uint64_t part;    // what it pointed at; the same address with another part is another object
    std::uint32_t id;
    std::uint32_t reserved;
  };
  std::size_t bytes, mask, count;
  Entry entries[];
};

namespace {

constexpr std::size_t kCodeBlockSlot = 16;  // from rbp
constexpr std::size_t kFirstCapacity = 1024;
constexpr std::size_t kLongestName = 512, kLongestUrl = 4096;
constexpr std::uint32_t kLongestSource = 16 << 20;  // characters; of a larger text no part is recorded

// Only numbers: no other memory depends on them, so their order is relaxed.
std::atomic<std::uint32_t> next_function{1}, next_script{1};
std::uintptr_t jit_begin, jit_end;

bool ReadSafely(std::uint64_t address, void* to, std::size_t bytes) {
  struct Vector {
    void* base;
    std::size_t bytes;
  };
  const Vector local{to, bytes}, remote{reinterpret_cast<void*>(address), bytes};
  return Syscall(SYS_process_vm_readv, process.pid, Argument(&local), 1, Argument(&remote), 1, 0) ==
         static_cast<long>(bytes);
}

std::uint64_t ReadPointer(std::uint64_t address) {
  std::uint64_t value = 0;
  return ReadSafely(address, &value, sizeof value) && value % 8 == 0 && value >> 47 == 0 ? value : 0;
}

struct String {
  std::uint64_t data = 0;
  std::uint32_t length = 0;  // in characters
  bool wide = false;
};

String ReadStringHead(std::uint64_t string) {
  unsigned char head[24];
  String result;
  if (string == 0 || !ReadSafely(string, head, sizeof head)) return result;
  std::uint32_t flags;
  Copy(&result.length, head + format::kStringLengthOffset, sizeof result.length);
  Copy(&result.data, head + format::kStringDataOffset, sizeof result.data);
  Copy(&flags, head + format::kStringFlagsOffset, sizeof flags);
  result.wide = (flags & format::kStringIs8Bit) == 0;
  return result;
}

// Writes the text of a StringImpl as UTF-8, cut at `capacity`; returns the bytes written.
std::size_t ReadString(std::uint64_t string, char* to, std::size_t capacity) {
  const auto [data, length, wide] = ReadStringHead(string);
  std::size_t written = 0;
  unsigned char part[256];
  const std::size_t units = wide ? sizeof part / 2 : sizeof part;
  for (std::size_t at = 0; at < length && written + 3 <= capacity;) {
    const std::size_t count = length - at < units ? length - at : units;
    if (!ReadSafely(data + at * (wide ? 2 : 1), part, count * (wide ? 2 : 1))) break;
    for (std::size_t i = 0; i < count && written + 3 <= capacity; ++i) {
      const std::uint32_t unit = wide ? part[2 * i] | (part[2 * i + 1] << 8) : part[i];
      if (unit < 0x80) {
        to[written++] = static_cast<char>(unit);
      } else if (unit < 0x800) {
        to[written++] = static_cast<char>(0xc0 | (unit >> 6));
        to[written++] = static_cast<char>(0x80 | (unit & 0x3f));
      } else {  // half of a surrogate pair stays what it is: names with them are rare, and the reader replaces what is
                // no UTF-8
        to[written++] = static_cast<char>(0xe0 | (unit >> 12));
        to[written++] = static_cast<char>(0x80 | ((unit >> 6) & 0x3f));
        to[written++] = static_cast<char>(0x80 | (unit & 0x3f));
      }
    }
    at += count;
  }
  return written;
}

const format::JscLayout& Layout() {
  return *reinterpret_cast<const format::JscLayout*>(reinterpret_cast<const char*>(process.header) +
                                                     process.header->jsc_layout_offset);
}

RecordedObjects* Allocate(std::size_t capacity) {
  const std::size_t bytes = sizeof(RecordedObjects) + capacity * sizeof(RecordedObjects::Entry);
  auto* const table = static_cast<RecordedObjects*>(MapPages(bytes));
  if (table == nullptr) return nullptr;
  table->bytes = bytes;
  table->mask = capacity - 1;
  return table;
}

RecordedObjects::Entry& Find(RecordedObjects& table, std::uint64_t object) {
  std::size_t at = (object * 0x9e3779b97f4a7c15ull) >> 32;
  while (true) {
    RecordedObjects::Entry& entry = table.entries[at++ & table.mask];
    if (entry.object == object || entry.object == 0) return entry;
  }
}

// The entry of `object` in `table`, a free one where it is new; null when the kernel gives no memory.
RecordedObjects::Entry* FindOrReserve(RecordedObjects*& table, std::uint64_t object) {
  if (table == nullptr || table->count * 2 > table->mask) {
    RecordedObjects* const larger = Allocate(table == nullptr ? kFirstCapacity : (table->mask + 1) * 2);
    if (larger == nullptr) return nullptr;
    if (table != nullptr) {
      for (std::size_t i = 0; i <= table->mask; ++i) {
        if (table->entries[i].object != 0) Find(*larger, table->entries[i].object) = table->entries[i];
      }
      larger->count = table->count;
      UnmapPages(table, table->bytes);
    }
    table = larger;
  }
  return &Find(*table, object);
}

void Fill(RecordedObjects& table, RecordedObjects::Entry& entry, std::uint64_t object, std::uint64_t part,
          std::uint32_t id) {
  if (entry.object == 0) ++table.count;
  entry = {object, part, id, 0};
}

void Release(RecordedObjects*& table) {
  if (table != nullptr) UnmapPages(table, table->bytes);
  table = nullptr;
}

// Records the text that the engine has of a script, part by part.
void RecordSource(ThreadState& thread, std::uint32_t script, const String& source) {
  constexpr std::uint32_t kPartBytes = format::kMaxVariableBytes - sizeof(format::SourceRecord);
  void* const part = MapPages(kPartBytes);  // too large for a thread's stack
  if (part == nullptr) return;
  const std::uint32_t total = source.wide ? source.length * 2 : source.length;
  for (std::uint32_t at = 0; at < total; at += kPartBytes) {
    const std::uint32_t bytes = total - at < kPartBytes ? total - at : kPartBytes;
    if (!ReadSafely(source.data + at, part, bytes)) break;
    const format::SourceRecord record{script, at, total, bytes};
    AppendVariable(thread, format::Op::kSource, StampRelease(), &record, sizeof record, part, bytes);
  }
  UnmapPages(part, kPartBytes);
}

// The id of the script that `provider` holds, recorded with its URL and text when it is new; 0 = none.
std::uint32_t RecordScript(ThreadState& thread, const format::JscLayout& layout, std::uint64_t provider) {
  const std::uint64_t text = provider == 0 ? 0 : ReadPointer(provider + layout.provider_source);
  if (text == 0) return 0;
  RecordedObjects*& scripts = engine_state.scripts;
  RecordedObjects::Entry* const entry = FindOrReserve(scripts, provider);
  if (entry == nullptr) return 0;
  if (entry->object != 0 && entry->part == text) return entry->id;
  Fill(*scripts, *entry, provider, text, next_script.fetch_add(1, std::memory_order_relaxed));
  const String source = ReadStringHead(text);
  const bool kept = source.length <= kLongestSource;
  char url[kLongestUrl];
  format::ScriptRecord record{entry->id, kept ? source.length * (source.wide ? 2u : 1u) : 0, source.wide, 0};
  record.url_bytes =
      static_cast<std::uint32_t>(ReadString(ReadPointer(provider + layout.provider_url), url, kLongestUrl));
  AppendVariable(thread, format::Op::kScript, StampRelease(), &record, sizeof record, url, record.url_bytes);
  if (kept) RecordSource(thread, record.id, source);
  return record.id;
}

// Reads what the CodeBlock's function is called and where it is from, and records it; 0 when it is no CodeBlock.
LEAKTRACE_COLD std::uint32_t RecordFunction(ThreadState& thread, const format::JscLayout& layout,
                                            std::uint64_t code_block, std::uint64_t executable) {
  std::uint8_t type = 0;
  if (!ReadSafely(code_block + layout.cell_type, &type, 1) || type != layout.code_block_type) return 0;
  format::JsFunctionRecord record{};
  char text[kLongestName + kLongestUrl];
  std::uint8_t executable_type = 0;
  if (!ReadSafely(executable + layout.cell_type, &executable_type, 1)) return 0;
  if (executable_type == layout.function_executable_type) {
    record.name_bytes = ReadString(
        ReadPointer(ReadPointer(executable + layout.executable_unlinked) + layout.unlinked_name), text, kLongestName);
  }
  const std::uint64_t provider = ReadPointer(executable + layout.executable_provider);
  if (provider != 0)
    record.url_bytes = ReadString(ReadPointer(provider + layout.provider_url), text + record.name_bytes, kLongestUrl);
  ReadSafely(executable + layout.executable_start, &record.start, sizeof record.start);
  ReadSafely(executable + layout.executable_end, &record.end, sizeof record.end);
  record.start += layout.start_correction;
  record.end += layout.end_correction;
  record.top_level = executable_type != layout.function_executable_type;
  record.script = RecordScript(thread, layout, provider);
  record.id = next_function.fetch_add(1, std::memory_order_relaxed);  // only a number: no other memory depends on it
  AppendVariable(thread, format::Op::kJsFunction, StampRelease(), &record, sizeof record, text,
                 record.name_bytes + record.url_bytes);
  return record.id;
}

}  // namespace

void NoteExecutableMapping(std::uintptr_t begin, std::size_t bytes) {
  // JavaScriptCore reserves all its executable memory at once (jit/ExecutableAllocator.cpp): 1 GiB in the releases
  // measured.
  constexpr std::size_t kLeastPool = 16 << 20;
  if (bytes < kLeastPool) return;
  jit_begin = begin;
  jit_end = begin + bytes;
}

bool DescribeJscFrame(ThreadState& thread, std::uintptr_t pc, std::uintptr_t fp, Frame& frame) {
  const format::JscLayout& layout = Layout();
  if (layout.valid.load(std::memory_order_acquire) == 0) return false;  // matched by the recorder's release store
  const bool interpreted = pc - layout.interpreter_begin < layout.interpreter_end - layout.interpreter_begin;
  if (!interpreted && !(pc - jit_begin < jit_end - jit_begin)) return false;
  const auto* const slot = reinterpret_cast<const std::uint64_t*>(fp + kCodeBlockSlot);
  const std::uint64_t code_block = *slot;
  if (code_block == 0 || code_block % 16 != 0 || code_block < 0x10000 || code_block >> 47 != 0) return false;
  if (code_block - thread.stack_low < thread.stack_high - thread.stack_low) return false;
  EngineState& state = engine_state;
  if (state.session != thread.session) [[unlikely]] {  // a forked child: what was recorded is in its parent's trace
    ReleaseJscTables();
    state.session = thread.session;
  }
  RecordedObjects::Entry* const entry = FindOrReserve(state.functions, code_block);
  if (entry == nullptr) return false;
  const std::uint64_t executable =
      entry->object != 0 ? *reinterpret_cast<const std::uint64_t*>(code_block + layout.code_block_executable)
                         : ReadPointer(code_block + layout.code_block_executable);
  if (entry->object == 0 || entry->part != executable) {
    if (executable == 0) return false;
    const std::uint32_t id = RecordFunction(thread, layout, code_block, executable);
    if (id == 0) return false;
    Fill(*state.functions, *entry, code_block, executable, id);
  }
  frame.word = format::FrameWord::Pack(format::FrameKind::kJsc, entry->id);
  frame.auxiliary = 0;
  frame.checked = 1;
  frame.slots[0] = slot;
  return true;
}

void ReleaseJscTables() {
  Release(engine_state.functions);
  Release(engine_state.scripts);
}

}  // namespace leaktrace::preload::js
