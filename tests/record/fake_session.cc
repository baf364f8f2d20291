#include "tests/record/fake_session.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

namespace leaktrace::record {

using format::AlignUp;
using format::BlockWord;
using format::EntryPoint;
using format::FrameWord;
using format::MapWord;
using format::Op;
using format::SessionHeader;
using format::SizeWord;
using format::SlotState;
using format::ThreadSlot;

void FakeThread::Append(std::initializer_list<std::uint64_t> record) {
  const std::uint64_t head = slot_.head.load(std::memory_order_relaxed);
  while (head + record.size() - slot_.tail.load(std::memory_order_acquire) > count_) {
  }
  std::uint64_t at = head;
  for (const std::uint64_t word : record) words_[at++ & (count_ - 1)] = word;
  slot_.head.store(at, std::memory_order_release);
}

void FakeThread::AppendVariable(Op op, std::uint64_t stamp, std::string_view bytes) {
  const std::uint64_t head = slot_.head.load(std::memory_order_relaxed);
  const std::uint64_t words = 2 + (bytes.size() + 7) / 8;
  while (head + words - slot_.tail.load(std::memory_order_acquire) > count_) {
  }
  words_[head & (count_ - 1)] = Word0(op, stamp);
  words_[(head + 1) & (count_ - 1)] = bytes.size();
  for (std::uint64_t i = 2; i < words; ++i) {
    std::uint64_t word = 0;
    const std::string_view part = bytes.substr((i - 2) * 8, 8);
    std::memcpy(&word, part.data(), part.size());
    words_[(head + i) & (count_ - 1)] = word;
  }
  slot_.head.store(head + words, std::memory_order_release);
}

void FakeThread::Frame(std::uint64_t stamp, std::uint32_t parent, std::uint64_t value, format::FrameKind kind) {
  Append({Word0(Op::kFrame, stamp), std::uint64_t{parent} << 32, FrameWord::Pack(kind, value)});
}

void FakeThread::Alloc(std::uint64_t stamp, std::uint64_t address, std::uint64_t size, std::uint32_t node,
                       EntryPoint entry, unsigned allocator) {
  Append({Word0(Op::kAlloc, stamp), BlockWord::Pack(address, static_cast<unsigned>(entry), allocator, 0),
          SizeWord::Pack(size, node)});
}

void FakeThread::Free(std::uint64_t stamp, std::uint64_t address, unsigned allocator) {
  Append({Word0(Op::kFree, stamp), BlockWord::Pack(address, static_cast<unsigned>(EntryPoint::kFree), allocator, 0)});
}

void FakeThread::ReallocBegin(std::uint64_t stamp, std::uint64_t address) {
  Append(
      {Word0(Op::kReallocBegin, stamp), BlockWord::Pack(address, static_cast<unsigned>(EntryPoint::kRealloc), 0, 0)});
}

void FakeThread::ReallocEnd(std::uint64_t stamp, std::uint64_t address, std::uint64_t size, std::uint32_t node) {
  Append({Word0(Op::kReallocEnd, stamp), BlockWord::Pack(address, static_cast<unsigned>(EntryPoint::kRealloc), 0, 0),
          SizeWord::Pack(size, node)});
}

void FakeThread::Map(std::uint64_t stamp, std::uint64_t address, std::uint64_t length, std::uint32_t node) {
  Append({Word0(Op::kMap, stamp), address, length,
          MapWord::Pack(node, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS), MapWord::kAnonymous});
}

void FakeThread::Unmap(std::uint64_t stamp, std::uint64_t address, std::uint64_t length) {
  Append({Word0(Op::kUnmap, stamp), address, length});
}

FakeSession::FakeSession(const Options& options) {
  const std::uint64_t slots_offset = AlignUp(sizeof(SessionHeader), 4096);
  const std::uint64_t modules_offset = AlignUp(slots_offset + sizeof(ThreadSlot) * format::kMaxThreads, 4096);
  const std::uint64_t rings_offset =
      AlignUp(modules_offset + sizeof(format::UnwindModule) * format::kMaxUnwindModules, 4096);
  bytes_ = rings_offset + std::uint64_t{options.ring_bytes} * options.rings;
  descriptor_ = memfd_create("leaktrace", MFD_CLOEXEC);
  if (descriptor_ < 0 || ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) std::abort();
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (memory == MAP_FAILED) std::abort();
  memory_ = static_cast<std::uint8_t*>(memory);
  header_ = static_cast<SessionHeader*>(memory);
  slots_ = reinterpret_cast<ThreadSlot*>(memory_ + slots_offset);
  rings_ = reinterpret_cast<std::uint64_t*>(memory_ + rings_offset);
  header_->magic = format::kSessionMagic;
  header_->version = format::kSessionVersion;
  header_->header_bytes = sizeof(SessionHeader);
  header_->total_bytes = bytes_;
  header_->slots_offset = slots_offset;
  header_->modules_offset = modules_offset;
  header_->rings_offset = rings_offset;
  header_->pid = options.pid != 0 ? options.pid : static_cast<std::uint32_t>(getpid());
  header_->clock = options.clock;
  header_->forked = options.forked ? 1 : 0;
  header_->options.ring_bytes = options.ring_bytes;
  header_->options.max_depth = format::kDefaultMaxDepth;
  header_->start_ticks = __rdtsc();
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  header_->start_monotonic_ns =
      static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  std::strncpy(header_->output_path, options.output.c_str(), format::kMaxPath - 1);
  std::strncpy(header_->executable, "/proc/self/exe", format::kMaxPath - 1);
  const char arguments[] = "victim\0--flag";
  std::memcpy(header_->arguments, arguments, sizeof(arguments));
  header_->argument_bytes = sizeof(arguments);
}

FakeSession::~FakeSession() {
  munmap(memory_, bytes_);
  close(descriptor_);
}

FakeThread FakeSession::Thread(std::uint32_t index) {
  slots_[index].state.store(SlotState::kActive);
  slots_[index].tid = 1000 + index;
  if (header_->slot_count.load() <= index) header_->slot_count.store(index + 1);
  const std::uint64_t words = header_->options.ring_bytes / 8;
  return {slots_[index], rings_ + index * words, words};
}

FakeThread FakeSession::ThreadIn(const Session& session, std::uint32_t index) {
  session.slot(index).state.store(SlotState::kActive);
  session.slot(index).tid = 1000 + index;
  std::uint32_t count = session.header().slot_count.load();
  while (count <= index && !session.header().slot_count.compare_exchange_weak(count, index + 1)) {
  }
  return {session.slot(index), const_cast<std::uint64_t*>(session.ring(index)), session.ring_words()};
}

std::uint64_t FakeSession::Now() const { return __rdtsc() - header_->start_ticks; }

IdleProcess::IdleProcess() {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  pid_ = fork();
  if (pid_ == 0) {
    close(ends[1]);
    char status = 0;
    if (read(ends[0], &status, 1) != 1) _exit(0);
    _exit(status);
  }
  close(ends[0]);
  pipe_ = ends[1];
}

IdleProcess::~IdleProcess() {
  Kill(SIGKILL);
  Wait();
  close(pipe_);
}

void IdleProcess::Exit(int status) {
  const char byte = static_cast<char>(status);
  if (write(pipe_, &byte, 1) != 1) std::abort();
}

void IdleProcess::Kill(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

void IdleProcess::Wait() {
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace leaktrace::record
