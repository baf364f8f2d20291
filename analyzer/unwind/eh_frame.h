// The entries of an .eh_frame section: Linux Standard Base, "Exception Frames", and DWARF 5, section 6.4. Bounded:
// damage ends the list.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace leaktrace {

// A common information entry: what the functions that refer to it share.
struct CommonEntry {
  std::uint64_t code_alignment = 1;
  std::int64_t data_alignment = 1;
  std::uint64_t return_register = 0;
  std::uint8_t pointer_encoding = 0;  // DW_EH_PE_* of the addresses in its function entries
  bool augmented = false;             // function entries hold augmentation data
  bool signal_frame = false;          // the frame of a signal handler's return
  absl::Span<const std::uint8_t> instructions;
};

// A frame description entry: one function, or a part of one.
struct FunctionEntry {
  std::uint64_t begin, end;  // addresses in the file; begin < end
  std::uint32_t common;      // index into EhFrame::common
  std::uint64_t instructions_address;
  absl::Span<const std::uint8_t> instructions;
};

struct EhFrame {
  std::vector<CommonEntry> common;
  std::vector<FunctionEntry> functions;  // sorted by begin
  bool damaged = false;                  // the list ended early
};

// Parses the section that lies at `address` in the file's addresses. `section` must outlive the result. At most `limit`
// functions are read.
EhFrame ParseEhFrame(absl::Span<const std::uint8_t> section, std::uint64_t address, std::uint64_t limit);

// .eh_frame_hdr, as far as it is needed to find .eh_frame in a file without section headers.
struct EhFrameHeader {
  std::uint64_t eh_frame = 0;   // address of .eh_frame, 0 = not known
  std::uint64_t functions = 0;  // 0 = not known
};
EhFrameHeader ParseEhFrameHeader(absl::Span<const std::uint8_t> header, std::uint64_t address);

}  // namespace leaktrace
