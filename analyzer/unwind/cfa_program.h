// Runs the call frame instructions of one function (DWARF 5, section 6.4.2) and appends its rows.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/unwind/eh_frame.h"
#include "format/ring.h"

namespace leaktrace {

class CfaProgram {
 public:
  // What is known of a caller's registers at one place. Only what the compact rows hold is followed: the CFA, rbp and
  // the return address.
  struct State {
    enum class Cfa : std::uint8_t { kRegister, kPlt, kDeref, kOther };
    enum class Saved : std::uint8_t { kSame, kAtCfa, kAtRbp, kUndefined, kOther };
    Cfa cfa = Cfa::kOther;
    Saved rbp = Saved::kSame;
    Saved return_address = Saved::kSame;
    std::uint64_t cfa_register = 0;
    std::int64_t cfa_offset = 0;
    std::int64_t rbp_offset = 0;
    std::int64_t return_offset = 0;
  };

  // Rows are appended to `rows`, in order; addresses must not be below those of the rows that are there.
  explicit CfaProgram(std::vector<format::UnwindRow>& rows) : rows_(rows) {}

  // The state after a common entry's instructions, which its functions start with.
  static State Initial(const CommonEntry& common);

  // Appends the rows of `function`. Instructions that are damaged end it: its last row is then kUnsupported.
  void Run(const FunctionEntry& function, const CommonEntry& common, const State& initial);

  // Ends the covered range: no function is at `address`.
  void Gap(std::uint64_t address);

 private:
  void Append(std::uint64_t address, const State& state, bool signal_frame);
  void Append(format::UnwindRow row);

  std::vector<format::UnwindRow>& rows_;
};

}  // namespace leaktrace
