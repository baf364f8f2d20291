#include "analyzer/record/runtime_version.h"

#include <elf.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "analyzer/base/cache_directory.h"
#include "analyzer/record/proc_file.h"

namespace leaktrace::record {
namespace {

// Three numbers with dots between them, and what may follow in a pre-release; "" when it is none.
std::string_view VersionAt(std::string_view text) {
  std::size_t size = 0, dots = 0;
  while (size < text.size() && size < 32 &&
         (absl::ascii_isdigit(static_cast<unsigned char>(text[size])) || text[size] == '.')) {
    dots += text[size] == '.' ? 1 : 0;
    ++size;
  }
  if (dots != 2 || text[0] == '.' || text[size - 1] == '.') return {};
  if (size < text.size() && text[size] == '-') {
    while (size < text.size() && size < 64 &&
           (absl::ascii_isalnum(static_cast<unsigned char>(text[size])) || text[size] == '-' || text[size] == '.')) {
      ++size;
    }
  }
  return text.substr(0, size);
}

}  // namespace

RuntimeVersion FindRuntimeVersion(std::string_view data) {
  constexpr std::string_view kNode = "node.js/v", kBun = "Bun v", kBunEnd = " (Linux x64)";
  // Bun first: it speaks of Node's version too.
  for (std::size_t at = data.find(kBun); at != std::string_view::npos; at = data.find(kBun, at + 1)) {
    const std::string_view version = VersionAt(data.substr(at + kBun.size()));
    if (!version.empty() && data.substr(at + kBun.size() + version.size()).starts_with(kBunEnd))
      return {"bun", std::string(version)};
  }
  for (std::size_t at = data.find(kNode); at != std::string_view::npos; at = data.find(kNode, at + 1)) {
    const std::string_view version = VersionAt(data.substr(at + kNode.size()));
    if (!version.empty()) return {"node", std::string(version)};
  }
  return {};
}

RuntimeVersion FindRuntimeVersion(const ElfFile& executable, const std::string& cache_directory) {
  const Bytes& id = executable.build_id();
  std::string cache;
  if (!cache_directory.empty() && !id.empty()) {
    cache =
        absl::StrCat(cache_directory, "/runtime/",
                     absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(id.data()), id.size())));
    const std::vector<std::string> known = absl::StrSplit(ReadProcFile(cache), '\n');
    if (known.size() == 3 && (known[0] == "node" || known[0] == "bun" || known[0] == "native"))
      return {known[0], known[1]};
  }
  RuntimeVersion found;
  for (const ElfSegment& segment : executable.segments()) {
    // Texts lie in read-only data; some linkers put that into the segment of the code.
    if (segment.type != PT_LOAD || (segment.flags & PF_W) != 0 || found.name != "native") continue;
    constexpr std::uint64_t kStep = 16 << 20, kOverlap = 256;
    for (std::uint64_t at = 0; at < segment.file_size && found.name == "native"; at += kStep - kOverlap) {
      const auto data = executable.Read(segment.offset + at, std::min(kStep, segment.file_size - at));
      if (!data.ok()) break;
      found = FindRuntimeVersion(std::string_view(reinterpret_cast<const char*>(data->data()), data->size()));
    }
  }
  if (!cache.empty()) {
    const std::string text = absl::StrCat(found.name, "\n", found.version, "\n");
    // Without the cache the next start takes as long as this one.
    (void)WriteFileAtomically(cache, {text});
  }
  return found;
}

}  // namespace leaktrace::record
