#include "analyzer/base/cache_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace leaktrace {
namespace {

void MakeFolders(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    mkdir(path.substr(0, slash).c_str(), 0700);  // one that fails shows when the file is opened
  }
}

}  // namespace

std::string DefaultCacheDirectory() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return absl::StrCat(cache, "/leaktrace");
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return absl::StrCat(home, "/.cache/leaktrace");
  return "";
}

absl::Status WriteFileAtomically(const std::string& path, absl::Span<const absl::string_view> parts) {
  MakeFolders(path);
  std::string temporary = absl::StrCat(path, ".XXXXXX");
  const int descriptor = mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": a file beside it cannot be created"));
  bool renamed = false;
  const absl::Cleanup clean = [&] {
    close(descriptor);
    if (!renamed) unlink(temporary.c_str());
  };
  for (absl::string_view part : parts) {
    while (!part.empty()) {
      const ssize_t written = write(descriptor, part.data(), part.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return absl::ErrnoToStatus(errno, absl::StrCat(temporary, ": cannot be written"));
      part.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be replaced"));
  renamed = true;
  return absl::OkStatus();
}

}  // namespace leaktrace
