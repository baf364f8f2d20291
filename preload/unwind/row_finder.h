// The unwind row of a program counter: from the tables that the recorder prepared in the session's memory, through a
// cache per thread.
//
// No lock, no system call. What the tables say is checked by whoever uses a row: here only their place in the session's
// memory is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/ring.h"
#include "preload/base/attributes.h"

namespace leaktrace::preload {

// What the walker needs of a format::UnwindRow.
struct Row {
  format::UnwindRule rule;
  std::int8_t rbp_offset;
  std::int16_t cfa_offset;
};

// One thread's cache. Zeroed memory is an empty cache. It is void when SessionHeader::unwind_epoch changes.
class RowFinder {
 public:
  // The row that holds at `pc`: for a return address, pass the byte before it, since a call may be its function's last
  // instruction. Rule kNoRow where no module or no function is known there. `rows` false: nothing is ever known (frame
  // pointers only).
  LEAKTRACE_HOT Row Find(std::uintptr_t pc, bool rows) {
    Entry& entry = entries_[(pc * 0x9e37'79b9'7f4a'7c15) >> (64 - kIndexBits)];
    if (entry.pc != pc) [[unlikely]] {
      entry.row = rows ? Search(pc) : Row{};
      entry.pc = pc;
    }
    return entry.row;
  }

  void Clear();

 private:
  static constexpr unsigned kIndexBits = 13;
  struct Entry {
    std::uintptr_t pc;
    Row row;
  };

  LEAKTRACE_COLD static Row Search(std::uintptr_t pc);

  Entry entries_[1u << kIndexBits];
};

}  // namespace leaktrace::preload
