#include "analyzer/commands/trace_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <thread>

#include "absl/strings/ascii.h"
#include "analyzer/model/overview_pass.h"
#include "analyzer/read/trace_reader.h"

namespace leaktrace::commands {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(10);

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// Matches from `n` and `p` on. Placeholders are few, so trying every length is quick.
bool Match(const std::string& name, std::size_t n, const std::string& pattern, std::size_t p) {
  for (; p < pattern.size(); ++p, ++n) {
    const bool placeholder = pattern[p] == '%' && p + 1 < pattern.size();
    if (!placeholder || pattern[p + 1] == '%') {
      if (placeholder) ++p;
      if (n >= name.size() || name[n] != pattern[p]) return false;
      continue;
    }
    const bool digits = pattern[p + 1] != 'e';
    for (std::size_t end = n + 1; end <= name.size() && (!digits || IsDigit(name[end - 1])); ++end) {
      if (Match(name, end, pattern, p + 2)) return true;
    }
    return false;
  }
  return n == name.size();
}

}  // namespace

bool MatchesPattern(const std::string& name, const std::string& pattern) {
  if (Match(name, 0, pattern, 0)) return true;
  if (pattern.find("%p") != std::string::npos) return false;
  const std::size_t dot = std::min(pattern.rfind('.'), pattern.size());
  return Match(name, 0, pattern.substr(0, dot) + ".%p" + pattern.substr(dot), 0);
}

std::vector<std::string> MatchingFiles(const std::string& pattern) {
  const std::filesystem::path path(pattern);
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path(), error)) {
    if (MatchesPattern(entry.path().filename().string(), path.filename().string()))
      files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<TraceFacts> ReadFacts(const std::string& path) {
  // Asked before it is read: a recorder that ends while it is read may leave a footer that was not seen.
  const bool written = WaitUntilWritten(path, std::chrono::milliseconds(0));
  model::TraceModel model;
  model::OverviewPass pass(model);
  const absl::StatusOr<read::ReadSummary> summary = read::ReadTrace(path, pass, {.events = false, .progress = nullptr});
  if (!summary.ok()) return summary.status();
  TraceFacts facts{.path = path,
                   .state = TraceState::kIncomplete,
                   .pid = model.program.pid,
                   .start = model.program.start_realtime,
                   .executable = model.program.executable,
                   .stop_reason = model.end.stop_reason,
                   .events = model.events,
                   .bytes = summary->bytes};
  if (!written) facts.state = TraceState::kBeingWritten;
  if (model.complete) facts.state = TraceState::kComplete;
  if (!model.memory.empty()) {
    facts.live_bytes = model.memory.back().live_bytes;
    facts.live_blocks = model.memory.back().live_blocks;
    facts.rss = model.memory.back().rss;
  }
  return facts;
}

bool WaitUntilWritten(const std::string& path, std::chrono::milliseconds timeout) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  bool written = false;
  for (;;) {
    // The recorder holds an exclusive lock from the first byte to the last, and loses it when it dies.
    written = flock(file, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (written || std::chrono::steady_clock::now() >= deadline) break;
    std::this_thread::sleep_for(kPollInterval);
  }
  close(file);
  return written;
}

}  // namespace leaktrace::commands
