#include "analyzer/record/proc_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace leaktrace::record {

std::string ReadProcFile(const std::string& path) {
  std::string text;
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return text;
  std::size_t size = 0;
  while (true) {
    constexpr std::size_t kStep = 64 << 10;
    text.resize(size + kStep);
    const ssize_t count = read(descriptor, text.data() + size, kStep);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    size += static_cast<std::size_t>(count);
  }
  close(descriptor);
  text.resize(size);
  return text;
}

}  // namespace leaktrace::record
