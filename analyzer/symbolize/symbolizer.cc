#include "analyzer/symbolize/symbolizer.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "analyzer/symbolize/module_list.h"

namespace leaktrace::symbolize {
namespace {

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::string_view LineKindName(LineKind kind) {
  switch (kind) {
    case LineKind::kNative:
      return "native";
    case LineKind::kJs:
      return "js";
    case LineKind::kRecovered:
      return "recovered";
    case LineKind::kUnknown:
      break;
  }
  return "unknown";
}

std::string DisplayName(const Line& line) {
  if (!line.function.empty()) return line.kind == LineKind::kRecovered ? line.function + " [recovered]" : line.function;
  if (line.module.empty()) return absl::StrCat("0x", absl::Hex(line.offset));
  return absl::StrCat(line.module, "+0x", absl::Hex(line.offset));
}

class Symbolizer::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {}

  std::vector<Line> ResolveOne(const Frame& frame) const {
    if (const auto bundled = bundled_.find(frame.id); bundled != bundled_.end()) return bundled->second;
    switch (frame.kind) {
      case format::FrameKind::kInterpreted:
      case format::FrameKind::kJit:
      case format::FrameKind::kJsc:
        return {Marker("[JavaScript]", LineKind::kJs)};
      case format::FrameKind::kTruncated:
        return {Marker("[deeper frames were not recorded]", LineKind::kUnknown)};
      case format::FrameKind::kScheduledBy:
        return {Marker("[scheduled by]", LineKind::kUnknown)};
      case format::FrameKind::kNative:
      case format::FrameKind::kBroken:
      case format::FrameKind::kSignal:
        break;
    }
    return {Place(frame)};
  }

  static Line Marker(std::string text, LineKind kind) {
    Line line;
    line.function = std::move(text);
    line.kind = kind;
    return line;
  }

  Line Place(const Frame& frame) const {
    Line line;
    line.offset = frame.value;
    if (const auto index = modules.Find(frame.value, frame.id)) {
      const Module& module = modules.modules()[*index];
      line.module = BaseName(module.path);
      line.offset = frame.value - module.load_address;
    }
    return line;
  }

  ModuleList modules;
  absl::flat_hash_map<std::uint32_t, std::vector<Line>> bundled_;
  absl::flat_hash_map<std::uint64_t, std::string> hooked_;
  std::vector<std::string> notes_;

 private:
  Options options_;
};

Symbolizer::Symbolizer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Symbolizer::~Symbolizer() = default;

void Symbolizer::AddModule(Module module) { impl_->modules.Add(std::move(module)); }

void Symbolizer::AddBundled(std::uint32_t frame_id, std::vector<Line> lines) {
  impl_->bundled_[frame_id] = std::move(lines);
}

void Symbolizer::AddJavaScript(std::uint32_t frame_id, std::string function, std::string file, std::uint32_t line) {
  Line named = Impl::Marker(std::move(function), LineKind::kJs);
  named.file = std::move(file);
  named.line = line;
  impl_->bundled_[frame_id] = {std::move(named)};
}

void Symbolizer::AddHookedFunction(std::uint64_t address, std::string name) {
  impl_->hooked_[address] = std::move(name);
}

std::vector<std::vector<Line>> Symbolizer::Resolve(absl::Span<const Frame> frames) {
  std::vector<std::vector<Line>> result;
  result.reserve(frames.size());
  for (const Frame& frame : frames) result.push_back(impl_->ResolveOne(frame));
  return result;
}

const std::vector<std::string>& Symbolizer::notes() const { return impl_->notes_; }

}  // namespace leaktrace::symbolize
