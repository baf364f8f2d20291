#include "preload/record/modules.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include "format/ring.h"
#include "preload/base/arena.h"
#include "preload/base/memory.h"
#include "preload/base/spin_lock.h"
#include "preload/session/clock.h"
#include "preload/session/facts.h"
#include "preload/session/session.h"
#include "preload/thread/ring_writer.h"

namespace leaktrace::preload {
namespace {

using format::ModuleRecord;
using format::Op;

struct Known {
  Known* next;
  ModuleRecord record;
  const char* path;
  bool loaded;  // announced and not unloaded since
  bool seen;    // in the pass that is under way
};

// What the session's recorder knows. Guarded by `scanning`; kept in private memory, so that a forked child has it too.
constinit SpinLock scanning;
constinit Arena arena;
constinit Known* known_modules = nullptr;
constinit std::uint32_t announced = 0;
constinit const char* executable_path = "";
// The loader's counters at the last scan: equal counters mean nothing to do.
constinit unsigned long long last_adds = 0, last_subs = 0;

void ReadBuildId(const dl_phdr_info& info, const ElfW(Phdr) & header, ModuleRecord& record) {
  const auto* at = reinterpret_cast<const char*>(info.dlpi_addr + header.p_vaddr);
  std::size_t left = header.p_memsz;
  while (left >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    Copy(&note, at, sizeof(note));
    const std::size_t name_bytes = (std::size_t{note.n_namesz} + 3) & ~std::size_t{3};
    const std::size_t text_bytes = (std::size_t{note.n_descsz} + 3) & ~std::size_t{3};
    const std::size_t bytes = sizeof(note) + name_bytes + text_bytes;
    if (bytes > left) return;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && Equal(at + sizeof(note), "GNU") &&
        note.n_descsz <= sizeof(record.build_id)) {
      Copy(record.build_id, at + sizeof(note) + name_bytes, note.n_descsz);
      record.build_id_bytes = note.n_descsz;
      return;
    }
    at += bytes;
    left -= bytes;
  }
}

ModuleRecord Describe(const dl_phdr_info& info) {
  ModuleRecord record{};
  record.load_address = info.dlpi_addr;
  record.begin = record.text_begin = ~0ull;
  for (unsigned i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info.dlpi_phdr[i];
    const std::uint64_t begin = info.dlpi_addr + header.p_vaddr, end = begin + header.p_memsz;
    if (header.p_type == PT_LOAD) {
      if (begin < record.begin) record.begin = begin;
      if (end > record.end) record.end = end;
      if ((header.p_flags & PF_X) != 0) {
        if (begin < record.text_begin) record.text_begin = begin;
        if (end > record.text_end) record.text_end = end;
      }
    } else if (header.p_type == PT_GNU_EH_FRAME) {
      record.eh_frame_header = begin;
    } else if (header.p_type == PT_NOTE && record.build_id_bytes == 0) {
      ReadBuildId(info, header, record);
    }
  }
  if (record.text_end == 0) record.text_begin = 0;
  return record;
}

void Post(ThreadState& thread, Known& module) {
  AppendVariable(thread, Op::kModule, StampAcquisition(), &module.record, sizeof(module.record), module.path,
                 module.record.path_bytes);
  module.loaded = true;
  ++announced;
}

Known* Remember(const ModuleRecord& record, const char* path) {
  const std::size_t length = Length(path);
  auto* const module = static_cast<Known*>(arena.Allocate(sizeof(Known)));
  auto* const copy = static_cast<char*>(arena.Allocate(length + 1));
  if (module == nullptr || copy == nullptr) return nullptr;
  Copy(copy, path, length + 1);
  *module = {known_modules, record, copy, false, false};
  module->record.path_bytes = static_cast<std::uint32_t>(length);
  known_modules = module;
  return module;
}

bool Same(const Known& module, const ModuleRecord& record, const char* path) {
  return module.record.load_address == record.load_address && module.record.begin == record.begin &&
         module.record.end == record.end && Equal(module.path, path);
}

// Of the program itself glibc's loader gives no name, musl's the one that it was started by.
const char* PathOf(const dl_phdr_info& info, char (&absolute)[format::kMaxPath]) {
  if (reinterpret_cast<std::uintptr_t>(info.dlpi_phdr) == getauxval(AT_PHDR)) return executable_path;
  const char* const name = info.dlpi_name != nullptr ? info.dlpi_name : "";
  // What has no slash is no file: the vDSO.
  const bool relative = name[0] != '/' && BaseName(name) != name;
  return relative && MakeAbsolute(name, absolute, sizeof(absolute)) ? absolute : name;
}

int Visit(dl_phdr_info* info, std::size_t, void* data) {
  auto& thread = *static_cast<ThreadState*>(data);
  last_adds = info->dlpi_adds;
  last_subs = info->dlpi_subs;
  const ModuleRecord record = Describe(*info);
  if (record.end == 0) return 0;
  char absolute[format::kMaxPath];
  const char* const path = PathOf(*info, absolute);
  Known* module = known_modules;
  while (module != nullptr && !Same(*module, record, path)) module = module->next;
  if (module == nullptr) module = Remember(record, path);
  if (module == nullptr) return 0;
  module->seen = true;
  if (!module->loaded) Post(thread, *module);
  return 0;
}

int ReadCounters(dl_phdr_info* info, std::size_t, void* data) {
  *static_cast<bool*>(data) = info->dlpi_adds != last_adds || info->dlpi_subs != last_subs;
  return 1;
}

}  // namespace

std::uint32_t AnnounceModules(ThreadState& thread, const char* executable) {
  const SpinLockHolder holder(scanning);
  executable_path = executable;
  for (Known* module = known_modules; module != nullptr; module = module->next) module->seen = false;
  dl_iterate_phdr(Visit, &thread);
  for (Known* module = known_modules; module != nullptr; module = module->next) {
    if (!module->loaded || module->seen) continue;
    module->loaded = false;
    Append(thread, RecordWord(Op::kModuleUnload, StampRelease()), module->record.load_address);
  }
  return announced;
}

std::uint32_t AnnounceKnownModules(ThreadState& thread) {
  const SpinLockHolder holder(scanning);
  announced = 0;
  for (Known* module = known_modules; module != nullptr; module = module->next) {
    if (module->loaded) Post(thread, *module);
  }
  return announced;
}

void FollowLoader(ThreadState& thread) {
  constexpr std::uint64_t kPatience = 1'000'000'000;
  constexpr std::int64_t kStep = 20'000'000;
  bool changed = false;
  dl_iterate_phdr(ReadCounters, &changed);
  if (!changed) return;
  const std::uint32_t before = shared_memory.header->module_requests.load(std::memory_order_relaxed);
  const std::uint32_t requests = AnnounceModules(thread, executable_path);
  if (requests == before) return;
  format::SessionHeader& header = *shared_memory.header;
  // Matched by the recorder's acquire load: it then sees the modules' records.
  header.module_requests.store(requests, std::memory_order_release);
  if (header.recorder_asleep.exchange(0) != 0) FutexWake(&header.recorder_asleep);
  const std::uint64_t begin = MonotonicNanoseconds();
  for (;;) {
    // Matched by the recorder's release store: the modules' rows are there.
    const std::uint32_t ready = header.modules_ready.load(std::memory_order_acquire);
    if (ready >= requests || RecorderIsGone() || MonotonicNanoseconds() - begin > kPatience) return;
    FutexWait(&header.modules_ready, ready, kStep);
  }
}

}  // namespace leaktrace::preload
