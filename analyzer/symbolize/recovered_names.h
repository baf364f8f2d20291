// Names of functions in an executable that was stripped: from the static property tables of JavaScriptCore's classes
// (`NodeHTTPResponse.writeHead`, `get X509Certificate.raw`), through the jumps by which those functions hand over to
// the only function that serves them, and from the source files that functions mention (`[in bio_mem.cc]`).
//
// A name is given only to addresses inside the very function. Nothing depends on one build: what is not found gives
// fewer names. Immutable once made: any number of threads may ask.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "analyzer/base/elf_file.h"

namespace leaktrace::symbolize {

struct RecoveredFunction {
  std::uint64_t begin = 0, end = 0;  // ELF addresses, half open
  std::string name;
  std::string evidence;  // for a person
};

// A function that is known by its address alone.
struct KnownFunction {
  std::uint64_t address = 0;
  std::string name;
  std::string evidence;
};

class RecoveredNames {
 public:
  // Looks into the whole file: a second or two for an executable of 100 MB. `known` functions come first.
  static RecoveredNames Recover(const ElfFile& file, absl::Span<const KnownFunction> known);
  // The same, kept in the cache folder by build-id and known functions; "" = not kept. A cache file that is damaged is
  // made anew.
  static RecoveredNames Load(const ElfFile& file, absl::Span<const KnownFunction> known,
                             const std::string& cache_directory);

  // The function that an address is in; null if it has no name.
  const RecoveredFunction* Find(std::uint64_t address) const;
  absl::Span<const RecoveredFunction> functions() const { return functions_; }  // by address, disjoint

  // The cache file's contents, and back; the latter gives no functions for damaged bytes and sets `ok` to false.
  std::string Serialize() const;
  static RecoveredNames Parse(const std::string& bytes, bool& ok);

 private:
  std::vector<RecoveredFunction> functions_;
};

}  // namespace leaktrace::symbolize
