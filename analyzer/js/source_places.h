// Lines in the user's files: of a position that V8 gives, and of a function that JavaScriptCore gives in a text that
// Bun transpiled.
//
// One thread. Files are read when they are first asked for, at most 16 MiB each, and the lines kept; what is no local
// file, cannot be read or is larger has no lines.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/js/code_map.h"

namespace leaktrace::js {

struct Place {
  std::uint32_t line = 0, column = 0;  // from 1; 0 = not known
};

class SourcePlaces {
 public:
  // Of `position`, UTF-16 units from the beginning of the file that `url` names.
  Place Position(const std::string& url, std::int32_t position);

  // Where the user's file defines `function`, by its place in the text of `script`, which must be complete. By the
  // order of the functions, see function_index.h.
  Place Definition(const Function& function, std::uint32_t script_id, const Script& script);

 private:
  struct File {
    std::string units;                 // see UnitsOfUtf8; empty = no such file
    std::vector<std::uint32_t> lines;  // where each begins
  };
  // The functions of a script's text, by where their parameters begin, with their place in the user's file.
  using Definitions = absl::flat_hash_map<std::uint32_t, Place>;

  const File& Open(const std::string& url);

  absl::flat_hash_map<std::string, File> files_;
  std::map<std::uint32_t, Definitions> scripts_;
};

// The local path that a script's URL names: a path is itself, file:// is decoded, all else names none.
std::optional<std::string> LocalPath(std::string_view url);

}  // namespace leaktrace::js
