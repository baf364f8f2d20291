#include "analyzer/symbolize/source_texts.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "absl/container/flat_hash_map.h"

namespace leaktrace::symbolize {
namespace {

constexpr std::size_t kMaxPath = 240;
constexpr std::uint64_t kMaxSpan = 4 << 20;  // of the code of one file
constexpr std::string_view kSuffixes[] = {".cpp", ".cc", ".c", ".rs", ".zig"};

bool IsPathCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-+./").find(c) != std::string_view::npos;
}

bool IsSourcePath(std::string_view text) {
  if (text.find('/') == std::string_view::npos || !std::all_of(text.begin(), text.end(), IsPathCharacter)) return false;
  return std::any_of(std::begin(kSuffixes), std::end(kSuffixes), [&](std::string_view suffix) {
    return text.size() > suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
  });
}

// Texts that NULs enclose, by address.
absl::flat_hash_map<std::uint64_t, std::string_view> FindPaths(const CodeImage& image) {
  absl::flat_hash_map<std::uint64_t, std::string_view> paths;
  for (const CodeImage::Region& region : image.data()) {
    const char* begin = reinterpret_cast<const char*>(region.bytes.data());
    const char* end = begin + region.bytes.size();
    for (const char* text = begin; text < end;) {
      const auto* nul = static_cast<const char*>(std::memchr(text, 0, static_cast<std::size_t>(end - text)));
      if (nul == nullptr) break;
      const std::string_view whole(text, static_cast<std::size_t>(nul - text));
      if (whole.size() >= 4 && whole.size() <= kMaxPath && IsSourcePath(whole)) {
        paths[region.address + static_cast<std::uint64_t>(text - begin)] = whole;
      }
      text = nul + 1;
    }
  }
  return paths;
}

using Mentions = std::map<std::uint64_t, std::set<std::string_view>>;  // files, by function

// The file that functions mention beside the most others, if those are many: its functions are inlined everywhere, so
// that it does not say where a function is from.
std::string_view MostInlined(const Mentions& mentions) {
  constexpr std::size_t kMany = 4;
  std::map<std::string_view, std::set<std::string_view>> beside;
  for (const auto& [function, files] : mentions) {
    if (files.size() < 2) continue;
    for (const std::string_view file : files) beside[file].insert(files.begin(), files.end());
  }
  std::string_view most;
  std::size_t others = kMany;  // a file is beside itself too
  for (const auto& [file, files] : beside) {
    if (files.size() > others) {
      most = file;
      others = files.size();
    }
  }
  return most;
}

}  // namespace

std::vector<SourceMention> FindSourceMentions(const CodeImage& image, const CodeReferences& references,
                                              FunctionExtents& extents) {
  const absl::flat_hash_map<std::uint64_t, std::string_view> paths = FindPaths(image);
  std::vector<std::uint64_t> targets;
  for (const auto& [address, path] : paths) targets.push_back(address);
  Mentions mentions;
  for (const CodeReferences::Reference& reference : references.OperandsOf(targets)) {
    const FunctionExtent* function = extents.WithOperand(reference.site);
    if (function != nullptr) mentions[function->begin].insert(paths.at(reference.target));
  }
  for (std::string_view file = MostInlined(mentions); !file.empty(); file = MostInlined(mentions)) {
    for (auto& [function, files] : mentions) files.erase(file);
  }
  // The code of one file lies together; a file that is mentioned far apart was inlined.
  std::map<std::string_view, std::vector<std::uint64_t>> functions;
  for (const auto& [function, files] : mentions) {
    if (files.size() == 1) functions[*files.begin()].push_back(function);
  }
  std::vector<SourceMention> found;
  for (const auto& [file, addresses] : functions) {
    if (addresses.back() - addresses.front() > kMaxSpan) continue;
    for (const std::uint64_t address : addresses) found.push_back({address, file});
  }
  return found;
}

}  // namespace leaktrace::symbolize
