// Names for the frames of a trace, and which frame names a call site. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/symbolize/call_site.h"
#include "analyzer/symbolize/symbolizer.h"

namespace leaktrace::report {

// Code that belongs to no module and has no name: what a runtime generated from JavaScript that could not be named.
[[nodiscard]] inline bool IsGeneratedCode(const symbolize::Line& line) {
  return line.function.empty() && line.module.empty();
}

struct NameOptions {
  symbolize::Options symbols;
  std::vector<std::string> rule_files;  // call-site rules that go before the built-in ones
};

// One printed line of a stack.
struct StackLine {
  const symbolize::Line* line = nullptr;
  model::FrameId frame = 0;
  bool scheduled_by = false;  // of the stack that queued the work, not a caller
};

class Names {
 public:
  // `model` outlives the result. Fails, with one line that says what to do, for a file of rules that cannot be used.
  static absl::StatusOr<std::unique_ptr<Names>> Make(const model::TraceModel& model, const NameOptions& options);

  // Names all frames of these stacks; a few large batches are quicker than many small ones. Frames that have names
  // already cost nothing.
  void Resolve(absl::Span<const model::FrameId> stacks);

  // The lines of one frame, innermost inlined function first; empty for frames that are only marks in a stack,
  // and for those of the preloaded library. Resolved
  // before.
  [[nodiscard]] absl::Span<const symbolize::Line> Lines(model::FrameId frame) const;
  // How well a frame names a call site: the best role of its lines. Resolved before.
  [[nodiscard]] symbolize::SiteRole Role(model::FrameId frame) const;

  // All lines of a stack, innermost first. Resolved before. Pointers are valid as long as this object.
  [[nodiscard]] std::vector<StackLine> Stack(model::FrameId innermost) const;
  // Index of the line that names the call site; 0 for an empty stack.
  [[nodiscard]] std::size_t Site(absl::Span<const StackLine> stack) const;

  // What a reader must know about the names, a sentence each.
  [[nodiscard]] const std::vector<std::string>& notes() const { return symbolizer_.notes(); }

 private:
  Names(const model::TraceModel& model, const NameOptions& options);
  void AddJavaScript();

  const model::TraceModel& model_;
  symbolize::Symbolizer symbolizer_;
  symbolize::CallSiteRules rules_;
  std::vector<std::vector<symbolize::Line>> lines_;  // by frame id
  std::vector<bool> resolved_;
};

}  // namespace leaktrace::report
