// How long names take: symbolize_benchmark CACHE-FOLDER FRAMES EXECUTABLE... names FRAMES addresses, spread evenly over
// the code of the executables, twice in one run; the second time with what the first left in the cache folder. Prints
// seconds.
#include <elf.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "analyzer/base/elf_file.h"
#include "analyzer/symbolize/symbolizer.h"

namespace {

using leaktrace::ElfFile;
using leaktrace::ElfSegment;
namespace symbolize = leaktrace::symbolize;

struct Executable {
  symbolize::Module module;
  std::uint64_t code_begin = 0, code_bytes = 0;
};

Executable Describe(const std::string& path, std::uint64_t load_address) {
  Executable executable;
  const auto file = ElfFile::Open(path);
  if (!file.ok()) {
    std::fprintf(stderr, "%s\n", std::string(file.status().message()).c_str());
    std::exit(2);
  }
  executable.module.path = path;
  executable.module.build_id.assign(file->build_id().begin(), file->build_id().end());
  executable.module.load_address = executable.module.begin = load_address;
  for (const ElfSegment& segment : file->segments()) {
    if (segment.type != PT_LOAD) continue;
    executable.module.end = std::max(executable.module.end, load_address + segment.address + segment.memory_size);
    if ((segment.flags & PF_X) != 0 && segment.file_size > executable.code_bytes) {
      executable.code_begin = load_address + segment.address;
      executable.code_bytes = segment.file_size;
    }
  }
  return executable;
}

double Run(const std::vector<Executable>& executables, const std::vector<symbolize::Frame>& frames,
           const std::string& cache) {
  const auto start = std::chrono::steady_clock::now();
  symbolize::Options options;
  options.cache_directory = cache;
  symbolize::Symbolizer symbolizer(options);
  for (const Executable& executable : executables) symbolizer.AddModule(executable.module);
  std::size_t named = 0;
  for (const auto& lines : symbolizer.Resolve(frames)) named += lines[0].function.empty() ? 0 : 1;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%zu frames, %zu named: %.3f s\n", frames.size(), named, seconds);
  return seconds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: symbolize_benchmark CACHE-FOLDER FRAMES EXECUTABLE...\n");
    return 2;
  }
  const std::size_t count = std::strtoull(argv[2], nullptr, 10);
  std::vector<Executable> executables;
  for (int i = 3; i < argc; ++i) executables.push_back(Describe(argv[i], static_cast<std::uint64_t>(i) << 40));
  std::vector<symbolize::Frame> frames;
  for (std::size_t i = 0; i < count; ++i) {
    const Executable& executable = executables[i % executables.size()];
    frames.push_back({static_cast<std::uint32_t>(i + 1), leaktrace::format::FrameKind::kNative,
                      executable.code_begin + executable.code_bytes / count * i + 1});
  }
  Run(executables, frames, argv[1]);
  Run(executables, frames, argv[1]);
}
