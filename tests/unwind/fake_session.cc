#include "tests/unwind/fake_session.h"

#include <link.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "analyzer/unwind/row_table.h"
#include "preload/js/frames.h"
#include "preload/record/stack_tree.h"
#include "preload/session/process.h"
#include "preload/thread/ring_writer.h"

namespace leaktrace::preload {

Process process;
constinit __thread ThreadState thread_state;

bool MakeRoom(ThreadState&, std::uint64_t, bool) { return false; }

namespace js {

Engine engine = Engine::kNone;
constinit __thread EngineState engine_state;

// Frames of the code range are taken for an interpreter's, whose words are where V8 has them.
bool DescribeV8Frame(ThreadState&, std::uintptr_t pc, std::uintptr_t fp, Frame& frame) {
  if (pc < engine_state.code.begin || pc >= engine_state.code.end) return false;
  frame.slots[0] = reinterpret_cast<const std::uint64_t*>(fp - 32);
  frame.slots[1] = reinterpret_cast<const std::uint64_t*>(fp - 40);
  frame.checked = 2;
  frame.word = format::FrameWord::Pack(format::FrameKind::kInterpreted, *frame.slots[0]);
  frame.auxiliary = static_cast<std::uint32_t>(*frame.slots[1]);
  return true;
}

bool DescribeJscFrame(ThreadState&, std::uintptr_t, std::uintptr_t, Frame&) { return false; }

}  // namespace js

}  // namespace leaktrace::preload

namespace leaktrace {
namespace {

constexpr std::uint64_t kModulesOffset = 1 << 16;
constexpr std::uint64_t kRowsOffset = 1 << 20;
constexpr std::uint64_t kTotalBytes = 256 << 20;

struct LoadedModule {
  std::string path;
  std::uint64_t load_address, begin, end;
};

int CollectModule(dl_phdr_info* info, std::size_t, void* out) {
  LoadedModule module{.path = info->dlpi_name, .load_address = info->dlpi_addr, .begin = ~0ull, .end = 0};
  if (module.path.empty()) module.path = "/proc/self/exe";
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    module.begin = std::min<std::uint64_t>(module.begin, info->dlpi_addr + segment.p_vaddr);
    module.end = std::max<std::uint64_t>(module.end, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
  }
  static_cast<std::vector<LoadedModule>*>(out)->push_back(module);
  return 0;
}

absl::StatusOr<RowTable> LoadModule(const LoadedModule& module) {
  const std::uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
  if (vdso == 0 || module.load_address != vdso) return LoadRows(module.path, "");
  const auto* image = reinterpret_cast<const std::uint8_t*>(vdso);
  ElfW(Ehdr) header;
  std::memcpy(&header, image, sizeof(header));
  return LoadRowsFromMemory(Bytes(image, image + header.e_shoff + std::size_t{header.e_shnum} * header.e_shentsize));
}

}  // namespace

FakeSession::FakeSession(const FakeOptions& options) : rows_end_(kRowsOffset) {
  void* memory = mmap(nullptr, kTotalBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  memory_ = static_cast<std::uint8_t*>(memory);
  header().total_bytes = kTotalBytes;
  header().modules_offset = kModulesOffset;
  preload::process.header = &header();
  preload::process.max_depth = options.max_depth;
  preload::process.unwinder = options.unwinder;
  preload::process.clock = format::ClockKind::kSequence;
  UpdateModules();
}

FakeSession::~FakeSession() {
  preload::process.header = nullptr;
  munmap(memory_, kTotalBytes);
}

void FakeSession::UpdateModules() {
  std::vector<LoadedModule> loaded;
  dl_iterate_phdr(CollectModule, &loaded);
  auto* const slots = reinterpret_cast<format::UnwindModule*>(memory_ + kModulesOffset);
  for (const LoadedModule& module : loaded) {
    const bool known = std::any_of(slots, slots + modules_,
                                   [&](const format::UnwindModule& slot) { return slot.begin == module.begin; });
    auto table = LoadModule(module);
    if (known || !table.ok()) continue;
    std::memcpy(memory_ + rows_end_, table->rows.data(), table->rows.size() * sizeof(format::UnwindRow));
    format::UnwindModule& slot = slots[modules_++];
    slot.row_count = static_cast<std::uint32_t>(table->rows.size());
    slot.begin = module.begin;
    slot.end = module.end;
    slot.load_address = module.load_address;
    slot.rows_offset = rows_end_;
    slot.generation.store(1, std::memory_order_release);
    rows_end_ += table->rows.size() * sizeof(format::UnwindRow);
  }
  header().unwind_epoch.fetch_add(1, std::memory_order_release);
}

FakeThread::FakeThread(std::uint64_t words) : ring_(words) {
  state_.ring = ring_.data();
  state_.mask = words - 1;
  state_.limit = ~0ull;
  state_.slot = &slot_;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) std::abort();
  void* low = nullptr;
  std::size_t size = 0;
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  state_.stack_low = reinterpret_cast<std::uintptr_t>(low);
  state_.stack_high = state_.stack_low + size;
}

FakeThread::~FakeThread() { preload::ReleaseStackTree(state_); }

void FakeThread::ReadRing() {
  for (; read_ < state_.head; read_ += 3) {
    const auto word_at = [this](std::uint64_t at) { return ring_[at & state_.mask]; };
    if ((word_at(read_) & 255) != static_cast<std::uint8_t>(format::Op::kFrame)) std::abort();
    const std::uint64_t links = word_at(read_ + 1), word = word_at(read_ + 2);
    if (links == ~0ull && word == 0) {
      nodes_.clear();
      continue;
    }
    nodes_.push_back(
        {.parent = static_cast<std::uint32_t>(links >> 32),
         .frame = {format::FrameWord::Kind(word), format::FrameWord::Value(word), static_cast<std::uint32_t>(links)}});
  }
}

std::vector<RecordedFrame> FakeThread::StackOfFreshTree(std::uint32_t node) {
  nodes_.clear();
  return Stack(node);
}

std::vector<RecordedFrame> FakeThread::Stack(std::uint32_t node) {
  ReadRing();
  std::vector<RecordedFrame> stack;
  while (node != 0) {
    const Node& found = nodes_.at(node - 1);
    stack.push_back(found.frame);
    if (found.parent >= node) std::abort();  // a parent is always defined before
    node = found.parent;
  }
  return stack;
}

}  // namespace leaktrace
