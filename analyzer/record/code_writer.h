// What JavaScript frames are, written to the trace once each.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "analyzer/js/code_map.h"
#include "analyzer/js/source_places.h"
#include "format/trace.capnp.h"

namespace leaktrace::record {

// One thread.
class CodeWriter {
 public:
  // The frame is this function at this position. Once per frame.
  void Add(std::uint32_t frame, js::CodeFrame name) { frames_.push_back({frame, name}); }
  [[nodiscard]] bool empty() const { return frames_.empty(); }

  // Moves what was added since the last call into the message, together with the functions and scripts that were not
  // written before. Lines are those of the user's files as they are now.
  void Write(const js::CodeMap& code, format::trace::CodeNames::Builder names);

 private:
  struct FrameName {
    std::uint32_t frame;
    js::CodeFrame name;
  };

  std::vector<FrameName> frames_;
  std::size_t functions_written_ = 0;
  std::set<std::uint32_t> scripts_written_;
  js::SourcePlaces places_;
};

}  // namespace leaktrace::record
