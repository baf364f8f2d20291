// Where JavaScriptCore keeps, in memory, what names a JavaScript frame. The layout belongs to a build of the runtime:
// the recorder finds it by a calibration run (analyzer/js/jsc_calibration.h), the library reads frames with it. Plain
// data in the session's memory, at SessionHeader::jsc_layout_offset; the rules of ring.h hold.
//
// A JavaScript frame at rbp: [rbp + 16] = CodeBlock, [rbp + 24] = callee, [rbp + 36] = call-site index
// (JavaScriptCore's interpreter/CallFrame.h; the same in every release since Bun 1.1). All offsets are in bytes.
#pragma once

#include <atomic>
#include <cstdint>

namespace leaktrace::format {

inline constexpr std::uint32_t kJscLayoutVersion = 1;

struct JscLayout {
  std::uint32_t version;
  std::atomic<std::uint32_t>
      valid;  // 1: the fields below may be used; stored (release) last, matched by the library's acquire load
  std::uint64_t
      interpreter_begin;  // ELF addresses of the interpreter's code: a JavaScript frame's pc is here or in JIT memory
  std::uint64_t interpreter_end;
  std::uint8_t cell_type;                 // offset of a cell's type byte
  std::uint8_t code_block_type;           // its value in a CodeBlock
  std::uint8_t function_executable_type;  // its value in the executable of a function; other executables have no name
  std::uint8_t reserved;
  std::uint16_t code_block_executable;  // CodeBlock -> ScriptExecutable
  std::uint16_t executable_provider;    // ScriptExecutable -> SourceProvider
  std::uint16_t executable_unlinked;    // FunctionExecutable -> UnlinkedFunctionExecutable
  std::uint16_t unlinked_name;          // UnlinkedFunctionExecutable -> StringImpl of the function's name
  std::uint16_t provider_url;           // SourceProvider -> StringImpl of the path
  std::uint16_t provider_source;        // SourceProvider -> StringImpl of the source text as the engine sees it
  std::uint16_t executable_start;       // u32 in ScriptExecutable: where the function begins in that text
  std::uint16_t executable_end;         // u32: where it ends
  std::int32_t start_correction;        // added to both: offset of the function's first character, and behind its last
  std::int32_t end_correction;
};
static_assert(sizeof(JscLayout) == 56);

// WTF::StringImpl (wtf/text/StringImpl.h): u32 reference count, u32 length, pointer to characters, u32 hash and flags.
inline constexpr unsigned kStringLengthOffset = 4, kStringDataOffset = 8, kStringFlagsOffset = 16;
inline constexpr std::uint32_t kStringIs8Bit = 1u << 2;

}  // namespace leaktrace::format
