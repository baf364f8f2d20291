#include "analyzer/record/memory_sampler.h"

#include <time.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "analyzer/record/proc_file.h"

namespace leaktrace::record {
namespace {

// Of this thread: what others take from the processor meanwhile is not the sample's cost.
std::uint64_t CpuNow() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

const char* CategoryOf(absl::string_view flags, absl::string_view name) {
  if (absl::StrContains(name, "memfd:leaktrace") || absl::StrContains(name, "libleaktrace")) return "leaktrace";
  if (name == "[heap]") return "heap";
  if (absl::StartsWith(name, "[stack")) return "stack";
  if (absl::StartsWith(name, "[anon:v8") || absl::StartsWith(name, "[anon:JS") ||
      absl::StartsWith(name, "[anon:WebKit") || absl::StartsWith(name, "[anon:JavaScriptCore")) {
    return "javascript heap";
  }
  if (name.empty() || absl::StartsWith(name, "[anon:")) return "anonymous";
  if (absl::StartsWith(name, "[")) return "kernel";
  const bool shared = flags.size() >= 4 && flags[3] == 's';
  const bool memory = absl::StartsWith(name, "/dev/shm/") || absl::StartsWith(name, "/memfd:") ||
                      absl::StartsWith(name, "/dev/zero") || absl::StartsWith(name, "/SYSV");
  return shared && memory ? "shared" : "file";
}

}  // namespace

MemorySample ParseSmaps(std::string_view smaps) {
  MemorySample sample;
  MemoryCategory* category = nullptr;
  for (absl::string_view line : absl::StrSplit(absl::string_view(smaps.data(), smaps.size()), '\n')) {
    if (line.empty()) continue;
    // A mapping's first line begins with its address, in lower case; the lines of its values with a capital letter.
    if (line[0] < 'A' || line[0] > 'Z') {
      const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(' ', 5));
      if (fields.size() < 5) continue;
      const absl::string_view name = fields.size() == 6 ? absl::StripLeadingAsciiWhitespace(fields[5]) : "";
      category = &sample.categories[CategoryOf(fields[1], name)];
      continue;
    }
    if (category == nullptr) continue;
    const std::size_t colon = line.find(':');
    if (colon == absl::string_view::npos) continue;
    const absl::string_view key = line.substr(0, colon);
    std::uint64_t* total = nullptr;
    if (key == "Rss") {
      total = &category->rss;
    } else if (key == "Pss") {
      total = &category->pss;
    } else if (key == "Size") {
      total = &category->virtual_size;
    } else if (key == "Anonymous") {
      total = &category->anonymous;
    } else {
      continue;
    }
    absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
    std::uint64_t kibibytes = 0;
    if (absl::ConsumeSuffix(&value, " kB") && absl::SimpleAtoi(value, &kibibytes)) *total += kibibytes << 10;
  }
  for (const auto& [name, sums] : sample.categories) {
    sample.rss += sums.rss;
    sample.pss += sums.pss;
  }
  return sample;
}

MemorySample MemorySampler::Sample(std::uint64_t now) {
  if (now >= next_full_) {
    constexpr std::uint64_t kShare = 50;
    const std::uint64_t begin = CpuNow();
    const std::string smaps = ReadProcFile(absl::StrCat("/proc/", pid_, "/smaps"));
    next_full_ = now + (CpuNow() - begin) * kShare;
    if (!smaps.empty()) return ParseSmaps(smaps);
  }
  // Second field: resident pages. Third: those of them that are of files or shared memory.
  const std::vector<std::string> fields = absl::StrSplit(ReadProcFile(absl::StrCat("/proc/", pid_, "/statm")), ' ');
  MemorySample sample;
  std::uint64_t resident = 0, of_files = 0;
  if (fields.size() > 2 && absl::SimpleAtoi(fields[1], &resident) && absl::SimpleAtoi(fields[2], &of_files) &&
      of_files <= resident) {
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    sample.rss = resident * page;
    sample.categories["anonymous"] = {.rss = (resident - of_files) * page, .anonymous = (resident - of_files) * page};
    sample.categories["file"] = {.rss = of_files * page};
  }
  return sample;
}

}  // namespace leaktrace::record
