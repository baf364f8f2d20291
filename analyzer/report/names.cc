#include "analyzer/report/names.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace leaktrace::report {

using format::FrameKind;
using model::FrameId;
using symbolize::Line;

namespace {

// Where the library stands between a caller and the allocator, or around main, it is no part of the program.
constexpr std::string_view kOwnLibrary = "libleaktrace.so";

}  // namespace

absl::StatusOr<std::unique_ptr<Names>> Names::Make(const model::TraceModel& model, const NameOptions& options) {
  std::unique_ptr<Names> names(new Names(model, options));
  for (const std::string& file : options.rule_files) {
    if (absl::Status status = names->rules_.AddFile(file); !status.ok()) return status;
  }
  return names;
}

Names::Names(const model::TraceModel& model, const NameOptions& options)
    : model_(model),
      symbolizer_(options.symbols),
      lines_(model.stacks.size() + 1),
      resolved_(model.stacks.size() + 1, false) {
  for (const model::Module& module : model.modules) {
    symbolizer_.AddModule({.path = module.path,
                           .build_id = module.build_id,
                           .load_address = module.load_address,
                           .begin = module.begin,
                           .end = module.end,
                           .first_frame = module.first_frame,
                           .unloaded = module.unloaded});
  }
  for (const auto& [frame, bundled] : model.bundled) {
    std::vector<Line> lines;
    for (const model::BundledLine& line : bundled) {
      const auto kind = std::min(line.kind, static_cast<std::uint16_t>(symbolize::LineKind::kUnknown));
      lines.push_back({.function = line.function,
                       .module = line.module,
                       .offset = line.offset,
                       .file = line.file,
                       .line = line.line,
                       .kind = static_cast<symbolize::LineKind>(kind),
                       .inlined = line.inlined,
                       .evidence = line.evidence});
    }
    symbolizer_.AddBundled(frame, std::move(lines));
  }
  for (const model::HookedFunction& function : model.hooked_functions) {
    symbolizer_.AddHookedFunction(function.address, function.name);
  }
  AddJavaScript();
}

void Names::AddJavaScript() {
  for (const auto& [frame, code] : model_.js_frames) {
    const auto found = model_.js_functions.find(code.function);
    if (found == model_.js_functions.end()) continue;
    const model::JsFunction& function = found->second;
    symbolizer_.AddJavaScript(frame, function.name, function.url, code.line != 0 ? code.line : function.line);
  }
}

void Names::Resolve(absl::Span<const FrameId> stacks) {
  std::vector<symbolize::Frame> frames;
  for (FrameId id : stacks) {
    for (; id != 0 && id <= model_.stacks.size() && !resolved_[id]; id = model_.stacks.Caller(id)) {
      resolved_[id] = true;
      const model::StackFrame frame = model_.stacks.Get(id);
      if (frame.kind == FrameKind::kScheduledBy) continue;
      frames.push_back({.id = id, .kind = frame.kind, .value = frame.value});
    }
  }
  std::vector<std::vector<Line>> lines = symbolizer_.Resolve(frames);
  for (std::size_t i = 0; i < frames.size() && i < lines.size(); ++i) {
    std::erase_if(lines[i], [](const Line& line) { return line.module == kOwnLibrary; });
    lines_[frames[i].id] = std::move(lines[i]);
  }
}

absl::Span<const Line> Names::Lines(FrameId frame) const {
  if (frame >= lines_.size()) return {};
  return lines_[frame];
}

symbolize::SiteRole Names::Role(FrameId frame) const {
  symbolize::SiteRole best = symbolize::SiteRole::kAllocator;
  for (const Line& line : Lines(frame)) best = std::min(best, rules_.RoleOf(line));
  return best;
}

std::vector<StackLine> Names::Stack(FrameId innermost) const {
  std::vector<StackLine> stack;
  bool scheduled_by = false;
  for (const model::StackFrame& frame : model_.stacks.Stack(innermost)) {
    scheduled_by |= frame.kind == FrameKind::kScheduledBy;
    for (const Line& line : Lines(frame.id)) {
      stack.push_back({.line = &line, .frame = frame.id, .scheduled_by = scheduled_by});
    }
  }
  return stack;
}

std::size_t Names::Site(absl::Span<const StackLine> stack) const {
  std::vector<const Line*> lines;
  lines.reserve(stack.size());
  for (const StackLine& line : stack) lines.push_back(line.line);
  return rules_.Site(lines);
}

}  // namespace leaktrace::report
