#include "analyzer/symbolize/symbolizer.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "analyzer/base/cache_directory.h"
#include "analyzer/symbolize/demangle.h"
#include "analyzer/symbolize/module_list.h"
#include "analyzer/symbolize/module_symbols.h"

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
  if (line.kind == LineKind::kJs) return "(anonymous)";
  if (line.module.empty()) return absl::StrCat("0x", absl::Hex(line.offset));
  return absl::StrCat(line.module, "+0x", absl::Hex(line.offset));
}

class Symbolizer::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {
    if (options_.cache_directory.empty()) options_.cache_directory = DefaultCacheDirectory();
  }

  std::vector<Line> ResolveOne(const Frame& frame) {
    if (const auto known = known_.find(frame.id); known != known_.end()) return known->second;
    switch (frame.kind) {
      case format::FrameKind::kInterpreted:
      case format::FrameKind::kJit:
      case format::FrameKind::kJsc:
        return {Marker("[JavaScript]", LineKind::kJs)};
      case format::FrameKind::kTruncated:
        return {Marker("[deeper frames were not recorded]", LineKind::kUnknown)};
      case format::FrameKind::kScheduledBy:
        return {Marker("[scheduled by]", LineKind::kUnknown)};
      // A return address may be the first of the next function, when the call is the last of its own.
      case format::FrameKind::kNative:
      case format::FrameKind::kBroken:
        return ResolveCode(frame, frame.value == 0 ? 0 : frame.value - 1);
      case format::FrameKind::kSignal:
        return ResolveCode(frame, frame.value);
    }
    return {Marker("[unknown]", LineKind::kUnknown)};
  }

  static Line Marker(std::string text, LineKind kind) {
    Line line;
    line.function = std::move(text);
    line.kind = kind;
    return line;
  }

  bool full_names() const { return options_.full_names; }

  ModuleList modules_;
  absl::flat_hash_map<std::uint32_t, std::vector<Line>> known_;  // by frame id: bundled lines, JavaScript
  std::vector<KnownFunction> hooked_;
  std::vector<std::string> notes_;

 private:
  std::vector<Line> ResolveCode(const Frame& frame, std::uint64_t address) {
    const std::optional<std::size_t> index = modules_.Find(address, frame.id);
    if (!index) {
      Line line;
      line.offset = frame.value;
      return {line};
    }
    const Module& module = modules_.modules()[*index];
    // A library may be loaded many times; it is read once.
    auto& symbols = symbols_[{module.path, module.build_id}];
    if (symbols == nullptr) {
      // The executable is listed first.
      symbols = std::make_unique<ModuleSymbols>(module, options_, *index == 0 ? hooked_ : std::vector<KnownFunction>(),
                                                notes_);
    }
    std::vector<Line> lines = symbols->Find(address - module.load_address);
    if (lines.empty()) lines.emplace_back();
    for (Line& line : lines) {
      line.module = BaseName(module.path);
      line.offset = frame.value - module.load_address;
    }
    return lines;
  }

  Options options_;
  absl::flat_hash_map<std::pair<std::string, std::string>, std::unique_ptr<ModuleSymbols>>
      symbols_;  // by path, build-id
};

Symbolizer::Symbolizer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Symbolizer::~Symbolizer() = default;

void Symbolizer::AddModule(Module module) { impl_->modules_.Add(std::move(module)); }

void Symbolizer::AddBundled(std::uint32_t frame_id, std::vector<Line> lines) {
  for (Line& line : lines) {
    if (!impl_->full_names() && line.kind == LineKind::kNative) line.function = ShortenName(line.function);
  }
  impl_->known_[frame_id] = std::move(lines);
}

void Symbolizer::AddJavaScript(std::uint32_t frame_id, std::string function, std::string file, std::uint32_t line) {
  Line named = Impl::Marker(std::move(function), LineKind::kJs);
  named.file = std::move(file);
  named.line = line;
  impl_->known_[frame_id] = {std::move(named)};
}

void Symbolizer::AddHookedFunction(std::uint64_t address, std::string name) {
  impl_->hooked_.push_back({address, std::move(name), "the hook map: an entry point of the allocator"});
}

std::vector<std::vector<Line>> Symbolizer::Resolve(absl::Span<const Frame> frames) {
  std::vector<std::vector<Line>> result;
  result.reserve(frames.size());
  for (const Frame& frame : frames) result.push_back(impl_->ResolveOne(frame));
  return result;
}

const std::vector<std::string>& Symbolizer::notes() const { return impl_->notes_; }

}  // namespace leaktrace::symbolize
