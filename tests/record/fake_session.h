// A session as the preloaded library makes it, written by a test: memory, rings, records.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "analyzer/record/session.h"
#include "format/ring.h"

namespace leaktrace::record {

// The writer of one ring; one thread at a time.
class FakeThread {
 public:
  FakeThread(format::ThreadSlot& slot, std::uint64_t* words, std::uint64_t count)
      : slot_(slot), words_(words), count_(count) {}

  // Waits while the ring is full (for the reader's thread to make room).
  void Append(std::initializer_list<std::uint64_t> record);
  void AppendVariable(format::Op op, std::uint64_t stamp, std::string_view bytes);

  static std::uint64_t Word0(format::Op op, std::uint64_t stamp) { return stamp << 8 | static_cast<std::uint8_t>(op); }

  // The usual records.
  void Frame(std::uint64_t stamp, std::uint32_t parent, std::uint64_t value,
             format::FrameKind kind = format::FrameKind::kNative);
  void Alloc(std::uint64_t stamp, std::uint64_t address, std::uint64_t size, std::uint32_t node = 0,
             format::EntryPoint entry = format::EntryPoint::kMalloc, unsigned allocator = 0);
  void Free(std::uint64_t stamp, std::uint64_t address, unsigned allocator = 0);
  void ReallocBegin(std::uint64_t stamp, std::uint64_t address);
  void ReallocEnd(std::uint64_t stamp, std::uint64_t address, std::uint64_t size, std::uint32_t node = 0);
  void Op1(format::Op op, std::uint64_t stamp) { Append({Word0(op, stamp)}); }
  void Map(std::uint64_t stamp, std::uint64_t address, std::uint64_t length, std::uint32_t node = 0);
  void Unmap(std::uint64_t stamp, std::uint64_t address, std::uint64_t length);

 private:
  format::ThreadSlot& slot_;
  std::uint64_t* words_;
  std::uint64_t count_;
};

class FakeSession {
 public:
  struct Options {
    std::uint32_t ring_bytes = format::kMinRingBytes;
    std::uint32_t rings = 8;
    std::uint32_t pid = 0;  // 0: this process
    bool forked = false;
    std::string output = "/nonexistent/trace.ltrace";
    format::ClockKind clock = format::ClockKind::kTsc;
  };

  explicit FakeSession(const Options& options);
  ~FakeSession();
  FakeSession(const FakeSession&) = delete;
  FakeSession& operator=(const FakeSession&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] format::SessionHeader& header() { return *header_; }
  [[nodiscard]] format::ThreadSlot& slot(std::uint32_t index) { return slots_[index]; }
  // Takes the slot for a thread, through this object's own mapping.
  FakeThread Thread(std::uint32_t index);
  // The same through a recorder's mapping: for tests that look for races, which see one mapping only.
  FakeThread ThreadIn(const Session& session, std::uint32_t index);

  // A stamp of now.
  [[nodiscard]] std::uint64_t Now() const;

 private:
  int descriptor_;
  std::uint8_t* memory_;
  std::uint64_t bytes_;
  format::SessionHeader* header_;
  format::ThreadSlot* slots_;
  std::uint64_t* rings_;
};

// A process that does nothing until it is ended.
class IdleProcess {
 public:
  IdleProcess();
  ~IdleProcess();
  IdleProcess(const IdleProcess&) = delete;
  IdleProcess& operator=(const IdleProcess&) = delete;

  [[nodiscard]] int pid() const { return pid_; }
  // Makes it exit with this status, or kills it; it stays a zombie until Wait.
  void Exit(int status);
  void Kill(int signal);
  void Wait();

 private:
  int pid_;
  int pipe_;
};

}  // namespace leaktrace::record
