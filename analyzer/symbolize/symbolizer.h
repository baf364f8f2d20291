// From recorded frames to lines that a person can read: function, file, line, with the functions that were inlined at a
// frame as lines of their own.
//
// Guarantees
// - A wrong name is worse than none: a symbol is used only for addresses that it covers, a file only if its build-id is
// the trace's. What
//   cannot be named reads module+offset.
// - Malformed ELF, DWARF, cache or debug files give fewer names and a note, never a crash or an error.
// - Frames are independent of each other: the order of the batches does not change the lines.
// Not thread-safe: one thread at a time uses a Symbolizer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "format/ring.h"

namespace leaktrace::symbolize {

enum class LineKind : std::uint16_t { kNative = 0, kJs = 1, kRecovered = 2, kUnknown = 3 };

// The word that reports use for it: "native", "js", "recovered", "unknown".
std::string_view LineKindName(LineKind kind);

// One line of a printed stack.
struct Line {
  std::string function;  // "" when unknown; readable form, unless Options::full_names
  std::string module;    // file name of the module without its directory; "" for JavaScript without one
  std::uint64_t offset =
      0;  // address of the call's return in the module's own (ELF) addresses; of the absolute address without a module
  std::string file;        // "" when unknown
  std::uint32_t line = 0;  // 0 when unknown
  LineKind kind = LineKind::kUnknown;
  bool inlined = false;  // its code is part of the function of the next line that is not inlined
  std::string evidence;  // where a recovered name comes from, for a person; "" otherwise
};

// What to print for a line: `function`, or `module+0x1a2b3c`, `(anonymous)` for a function of JavaScript without a name; with ` [recovered]` after names that were recovered.
std::string DisplayName(const Line& line);

// A module as the trace lists it, in the order of the file.
struct Module {
  std::string path;
  std::string build_id;              // bytes; "" = the file had none
  std::uint64_t load_address = 0;    // what was added to the ELF file's addresses
  std::uint64_t begin = 0, end = 0;  // of its mapping
  std::uint32_t first_frame = 0;     // holds for frames with this or a later id
  bool unloaded = false;             // true: from first_frame on the module at load_address is gone
};

struct Frame {
  std::uint32_t id = 0;  // of the trace; decides which modules were loaded, and which bundled or JavaScript names apply
  format::FrameKind kind = format::FrameKind::kNative;
  std::uint64_t value = 0;  // FrameWord's value
};

struct Options {
  std::vector<std::string> debug_directories;  // searched before /usr/lib/debug: by build-id, then by file name
  bool debuginfod = false;                     // ask debuginfod-find(1) for debug files that are not here
  bool full_names = false;                     // template arguments, parameter lists and hashes as they are
  bool recover = true;                         // recover names in stripped executables
  std::string cache_directory;                 // "" = $XDG_CACHE_HOME/leaktrace
};

class Symbolizer {
 public:
  explicit Symbolizer(Options options);
  ~Symbolizer();
  Symbolizer(const Symbolizer&) = delete;
  Symbolizer& operator=(const Symbolizer&) = delete;

  // What the trace knows. All before the first Resolve; modules in the order of the trace.
  void AddModule(Module module);
  // Lines that the trace carries for a frame (chunk kSymbols), with full names: preferred to anything found here.
  void AddBundled(std::uint32_t frame_id, std::vector<Line> lines);
  // The JavaScript function of a frame (chunk kCode).
  void AddJavaScript(std::uint32_t frame_id, std::string function, std::string file, std::uint32_t line);
  // A function of the executable that the recorder found (chunk kHookMap): `address` in the ELF file's addresses.
  void AddHookedFunction(std::uint64_t address, std::string name);

  // The lines of each frame, innermost inlined function first; at least one line each.
  std::vector<std::vector<Line>> Resolve(absl::Span<const Frame> frames);

  // What a reader must know about the names so far, a sentence each: files that were missing or of another build.
  const std::vector<std::string>& notes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace leaktrace::symbolize
