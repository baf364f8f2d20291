#include "analyzer/symbolize/debug_files.h"

#include <elf.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

extern char** environ;

namespace leaktrace::symbolize {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxScannedFiles = 4096;

struct DebugLink {
  std::string name;
  std::uint32_t crc = 0;
};

// GDB manual, "Separate Debug Files": the file's name, zeroes up to a multiple of four, the CRC-32 of its contents.
std::optional<DebugLink> ReadDebugLink(const ElfFile& file) {
  const ElfSection* section = file.FindSection(".gnu_debuglink");
  if (section == nullptr) return std::nullopt;
  const auto bytes = file.ReadSection(*section);
  if (!bytes.ok()) return std::nullopt;
  DebugLink link;
  const char* text = reinterpret_cast<const char*>(bytes->data());
  link.name.assign(text, strnlen(text, bytes->size()));
  const std::size_t crc_at = (link.name.size() + 4) & ~std::size_t{3};
  // A name with a slash could lead out of the folders that are searched.
  if (link.name.empty() || link.name.find('/') != std::string::npos || crc_at + 4 > bytes->size()) return std::nullopt;
  std::memcpy(&link.crc, bytes->data() + crc_at, 4);
  return link;
}

bool HasCrc(const ElfFile& file, std::uint32_t expected) {
  const auto bytes = file.Read(0, file.size());
  if (!bytes.ok()) return false;
  return crc32_z(0, bytes->data(), bytes->size()) == expected;
}

std::string BuildIdOf(const ElfFile& file) { return {file.build_id().begin(), file.build_id().end()}; }

// The last line that debuginfod-find prints: the path of the file it has fetched.
std::optional<std::string> AskDebuginfod(const std::string& hex_build_id, std::vector<std::string>& notes) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return std::nullopt;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::string program = "debuginfod-find", kind = "debuginfo", id = hex_build_id;
  char* arguments[] = {program.data(), kind.data(), id.data(), nullptr};
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
  std::string output;
  if (error == 0) {
    char buffer[4096];
    for (ssize_t got; (got = read(pipe_ends[0], buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR);) {
      if (got > 0) output.append(buffer, static_cast<std::size_t>(got));
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) output.clear();
  } else {
    notes.push_back("debuginfod-find could not be started: install it (Debian: debuginfod), or leave out --debuginfod");
  }
  close(pipe_ends[0]);
  while (!output.empty() && output.back() == '\n') output.pop_back();
  output.erase(0, output.rfind('\n') + 1);
  if (output.empty()) return std::nullopt;
  return output;
}

class Finder {
 public:
  Finder(const std::string& build_id, std::vector<std::string>& notes) : build_id_(build_id), notes_(notes) {}

  // Takes the file if it is of the same build. `crc` serves where there is no build-id. Says so where it is not and
  // `say` is set.
  void Try(const fs::path& path, std::optional<std::uint32_t> crc, bool say) {
    if (std::find(tried_.begin(), tried_.end(), path) != tried_.end()) return;
    tried_.push_back(path);
    std::error_code error;
    if (!fs::is_regular_file(path, error)) return;
    auto file = ElfFile::Open(path.string());
    if (!file.ok()) {
      if (say) notes_.push_back(std::string(file.status().message()));
      return;
    }
    const bool same = build_id_.empty() ? crc.has_value() && HasCrc(*file, *crc) : BuildIdOf(*file) == build_id_;
    if (same) {
      found_.push_back(*std::move(file));
    } else if (say) {
      notes_.push_back(absl::StrCat(path.string(), ": not used, it is of another build"));
    }
  }

  void TryBuildId(const fs::path& directory) {
    if (build_id_.size() < 2) return;
    const std::string hex = HexBuildId(build_id_);
    Try(directory / ".build-id" / hex.substr(0, 2) / (hex.substr(2) + ".debug"), std::nullopt, true);
    Try(directory / hex.substr(0, 2) / (hex.substr(2) + ".debug"), std::nullopt, true);
  }

  // Any file there that has the build-id: an unstripped build often has a name of its own (bun-profile).
  void TryAll(const fs::path& directory) {
    if (build_id_.empty()) return;
    std::error_code error;
    std::vector<fs::path> paths;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end && paths.size() < kMaxScannedFiles;
         entry.increment(error)) {
      paths.push_back(entry->path());
    }
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) Try(path, std::nullopt, false);
  }

  bool found_any() const { return !found_.empty(); }
  std::vector<ElfFile> Take() { return std::move(found_); }

 private:
  const std::string& build_id_;
  std::vector<std::string>& notes_;
  std::vector<fs::path> tried_;
  std::vector<ElfFile> found_;
};

}  // namespace

std::string HexBuildId(const std::string& build_id) { return absl::BytesToHexString(build_id); }

std::vector<ElfFile> FindDebugFiles(const std::string& module_path, const std::string& build_id, const ElfFile* file,
                                    const DebugSearch& search, std::vector<std::string>& notes) {
  Finder finder(build_id, notes);
  const fs::path module(module_path);
  std::optional<DebugLink> link;
  if (file != nullptr) link = ReadDebugLink(*file);
  const std::optional<std::uint32_t> crc = link ? std::optional(link->crc) : std::nullopt;
  for (const std::string& directory : search.directories) {
    finder.TryBuildId(directory);
    if (link) finder.Try(fs::path(directory) / link->name, crc, true);
    finder.Try(fs::path(directory) / (module.filename().string() + ".debug"), crc, true);
    finder.Try(fs::path(directory) / module.filename(), crc, true);
    finder.TryAll(directory);
  }
  finder.TryBuildId(search.system_directory);
  if (link) {
    const fs::path folder = module.parent_path();
    for (const fs::path& path : {folder / link->name, folder / ".debug" / link->name,
                                 fs::path(search.system_directory) / folder.relative_path() / link->name}) {
      if (path != module) finder.Try(path, crc, true);
    }
  }
  if (search.debuginfod && !finder.found_any() && !build_id.empty()) {
    if (const auto path = AskDebuginfod(HexBuildId(build_id), notes)) finder.Try(*path, std::nullopt, true);
  }
  return finder.Take();
}

}  // namespace leaktrace::symbolize
