#include "analyzer/symbolize/recovered_names.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzer/base/byte_reader.h"
#include "analyzer/base/cache_directory.h"
#include "analyzer/symbolize/code_image.h"
#include "analyzer/symbolize/code_references.h"
#include "analyzer/symbolize/debug_files.h"
#include "analyzer/symbolize/function_extent.h"
#include "analyzer/symbolize/property_tables.h"
#include "analyzer/symbolize/source_texts.h"
#include "analyzer/trace/crc32c.h"

namespace leaktrace::symbolize {
namespace {

constexpr std::uint32_t kCacheMagic = 0x4d595352;  // "RSYM" in the file
constexpr std::uint32_t kCacheVersion = 1;         // grows whenever other names come out
constexpr int kMaxHandOvers = 3;
constexpr std::uint64_t kMinCachedBytes = 4 << 20;  // of files worth it: smaller ones are quick to look into

struct Name {
  std::string name, evidence;
};

std::string DisplayOf(const PropertyFunction& function) {
  std::string name(function.property);
  if (!function.class_name.empty()) name = absl::StrCat(std::string(function.class_name), ".", name);
  switch (function.role) {
    case PropertyRole::kGetter:
    case PropertyRole::kLazyValue:
      return "get " + name;
    case PropertyRole::kSetter:
      return "set " + name;
    case PropertyRole::kFunction:
      break;
  }
  return name;
}

std::string EvidenceOf(const PropertyFunction& function) {
  const std::string where = function.class_name.empty()
                                ? "a property table"
                                : absl::StrCat("the property table of ", std::string(function.class_name));
  const char* role = function.role == PropertyRole::kFunction    ? "function"
                     : function.role == PropertyRole::kGetter    ? "getter"
                     : function.role == PropertyRole::kLazyValue ? "first value"
                                                                 : "setter";
  return absl::StrCat(where, ": ", role, " of ", std::string(function.property));
}

class Recovery {
 public:
  explicit Recovery(const CodeImage& image) : image_(image), references_(image), extents_(image, references_) {}

  void AddKnown(absl::Span<const KnownFunction> known) {
    for (const KnownFunction& function : known) {
      if (image_.IsCode(function.address)) names_.try_emplace(function.address, Name{function.name, function.evidence});
    }
  }

  void AddPropertyFunctions() {
    std::map<std::uint64_t, std::vector<const PropertyFunction*>> by_address;
    const std::vector<PropertyFunction> functions = FindPropertyFunctions(image_, references_, extents_);
    for (const PropertyFunction& function : functions) by_address[function.address].push_back(&function);
    for (const auto& [address, uses] : by_address) {
      std::set<std::string> displays;
      std::string evidence;
      for (const PropertyFunction* use : uses) {
        if (displays.insert(DisplayOf(*use)).second)
          absl::StrAppend(&evidence, evidence.empty() ? "" : "; ", EvidenceOf(*use));
      }
      // A function that serves two properties is one of the two; what serves more is no property's function.
      if (displays.size() == 1) names_.try_emplace(address, Name{*displays.begin(), evidence});
      if (displays.size() == 2)
        names_.try_emplace(address, Name{*displays.begin() + " / " + *displays.rbegin(), evidence});
    }
  }

  // A function that checks its arguments and jumps on is part of what it jumps to, if nothing else refers to that.
  void FollowHandOvers() {
    std::vector<std::uint64_t> from;
    for (const auto& [address, name] : names_) from.push_back(address);
    for (int step = 0; step < kMaxHandOvers && !from.empty(); ++step) from = FollowOnce(from);
  }

  void AddSourceMentions() {
    for (const SourceMention& mention : FindSourceMentions(image_, references_, extents_)) {
      if (names_.contains(mention.function)) continue;
      const std::string path(mention.path);
      names_[mention.function] = {absl::StrCat("[in ", path.substr(path.rfind('/') + 1), "]"),
                                  absl::StrCat("its code mentions ", path)};
    }
  }

  std::vector<RecoveredFunction> Take() {
    std::vector<RecoveredFunction> functions;
    for (auto& [address, name] : names_) {
      const FunctionExtent& extent = extents_.From(address);
      if (extent.end <= extent.begin) continue;
      if (!functions.empty() && functions.back().end > extent.begin) functions.back().end = extent.begin;
      functions.push_back({extent.begin, extent.end, std::move(name.name), std::move(name.evidence)});
    }
    return functions;
  }

 private:
  // Returns the functions that got a name.
  std::vector<std::uint64_t> FollowOnce(const std::vector<std::uint64_t>& from) {
    std::map<std::uint64_t, std::uint64_t> jumps;  // target, the function that jumps
    for (const std::uint64_t address : from) {
      for (const std::uint64_t target : extents_.From(address).tail_jumps) {
        if (image_.IsCode(target) && !names_.contains(target)) jumps.emplace(target, address);
      }
    }
    std::vector<std::uint64_t> targets, named;
    for (const auto& [target, source] : jumps) targets.push_back(target);
    const auto branches = references_.BranchesTo(targets);
    const auto pointers = references_.PointersTo(targets);
    std::set<std::uint64_t> taken;
    for (const CodeReferences::Reference& reference : references_.OperandsOf(targets)) {
      // The jump's own displacement looks like an operand too, and is one branch.
      if (extents_.WithOperand(reference.site) != nullptr && !IsBranchOperand(reference.site))
        taken.insert(reference.target);
    }
    for (const auto& [target, source] : jumps) {
      const auto counts = branches.find(target);
      if (counts == branches.end() || counts->second.calls != 0 || counts->second.jumps != 1) continue;
      if (pointers.contains(target) || taken.contains(target)) continue;
      const Name& name = names_[source];
      names_[target] = {name.name, absl::StrCat("only ", name.name, " jumps here; ", name.evidence)};
      named.push_back(target);
    }
    return named;
  }

  bool IsBranchOperand(std::uint64_t site) const {
    const auto code = image_.CodeAt(site - 1);
    return !code.empty() && (code[0] == 0xe9 || code[0] == 0xe8);
  }

  const CodeImage& image_;
  const CodeReferences references_;
  FunctionExtents extents_;
  std::map<std::uint64_t, Name> names_;  // by beginning of the function
};

std::string CachePath(const ElfFile& file, absl::Span<const KnownFunction> known, const std::string& directory) {
  const std::string build_id(file.build_id().begin(), file.build_id().end());
  if (directory.empty() || build_id.empty() || file.size() < kMinCachedBytes) return {};
  std::string text;
  for (const KnownFunction& function : known) absl::StrAppend(&text, function.address, " ", function.name, "\n");
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  return absl::StrCat(directory, "/symbols-", HexBuildId(build_id), "-",
                      absl::Hex(trace::Crc32c({bytes, text.size()}), absl::kZeroPad8));
}

template <typename T>
void Append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void AppendText(std::string& out, const std::string& text) {
  Append(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

std::string TakeText(ByteReader& reader) {
  const auto bytes = reader.Take(reader.Fixed<std::uint32_t>());
  return {bytes.begin(), bytes.end()};
}

}  // namespace

RecoveredNames RecoveredNames::Recover(const ElfFile& file, absl::Span<const KnownFunction> known) {
  RecoveredNames names;
  const auto image = CodeImage::Load(file);
  if (!image.ok()) return names;
  Recovery recovery(*image);
  recovery.AddKnown(known);
  recovery.AddPropertyFunctions();
  recovery.FollowHandOvers();
  recovery.AddSourceMentions();
  names.functions_ = recovery.Take();
  return names;
}

RecoveredNames RecoveredNames::Load(const ElfFile& file, absl::Span<const KnownFunction> known,
                                    const std::string& cache_directory) {
  const std::string path = CachePath(file, known, cache_directory);
  if (path.empty()) return Recover(file, known);
  if (std::ifstream cached(path, std::ios::binary); cached) {
    bool ok = false;
    RecoveredNames names = Parse({std::istreambuf_iterator<char>(cached), std::istreambuf_iterator<char>()}, ok);
    if (ok) return names;
  }
  RecoveredNames names = Recover(file, known);
  const std::string bytes = names.Serialize();
  // A cache that cannot be written costs time, nothing else.
  WriteFileAtomically(path, {absl::string_view(bytes)}).IgnoreError();
  return names;
}

const RecoveredFunction* RecoveredNames::Find(std::uint64_t address) const {
  auto function = std::upper_bound(functions_.begin(), functions_.end(), address,
                                   [](std::uint64_t a, const RecoveredFunction& f) { return a < f.begin; });
  if (function == functions_.begin() || address >= (--function)->end) return nullptr;
  return &*function;
}

// Magic, version, CRC-32C of the rest; the count; per function begin, end, name, evidence. Numbers are little-endian.
std::string RecoveredNames::Serialize() const {
  std::string body;
  Append(body, static_cast<std::uint32_t>(functions_.size()));
  for (const RecoveredFunction& function : functions_) {
    Append(body, function.begin);
    Append(body, function.end);
    AppendText(body, function.name);
    AppendText(body, function.evidence);
  }
  std::string out;
  Append(out, kCacheMagic);
  Append(out, kCacheVersion);
  Append(out, trace::Crc32c({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}));
  return out + body;
}

RecoveredNames RecoveredNames::Parse(const std::string& bytes, bool& ok) {
  RecoveredNames names;
  const absl::Span<const std::uint8_t> all(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  ByteReader reader(all);
  const auto magic = reader.Fixed<std::uint32_t>();
  const auto version = reader.Fixed<std::uint32_t>();
  const auto crc = reader.Fixed<std::uint32_t>();
  ok = reader.ok() && magic == kCacheMagic && version == kCacheVersion &&
       crc == trace::Crc32c(all.subspan(reader.position()));
  if (!ok) return names;
  for (auto count = reader.Fixed<std::uint32_t>(); count > 0 && reader.ok(); --count) {
    RecoveredFunction& function = names.functions_.emplace_back();
    function.begin = reader.Fixed<std::uint64_t>();
    function.end = reader.Fixed<std::uint64_t>();
    function.name = TakeText(reader);
    function.evidence = TakeText(reader);
  }
  ok = reader.ok() && reader.empty();
  if (!ok) names.functions_.clear();
  return names;
}

}  // namespace leaktrace::symbolize
