// Runs the victim and makes the variants of it that tests look up.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "analyzer/symbolize/symbolizer.h"

namespace leaktrace::symbolize {

// A folder of its own in the system's temporary folder, removed with what is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Fails the test unless the command ends with status 0.
void RunCommand(const std::string& command);

// What the victim printed, by name.
struct VictimRun {
  std::map<std::string, std::uint64_t> values;
  Module module;  // its path and build-id are those of the file that was run
};
VictimRun RunVictim(const std::string& path);

// Lines of the victim's call of that name, as `module` has them.
std::vector<Line> LinesOf(const VictimRun& run, const std::string& call, const Module& module, Options options,
                          std::vector<std::string>* notes = nullptr);

// Functions of lines, innermost first, joined by " < "; inlined ones in parentheses.
std::string Functions(const std::vector<Line>& lines);

}  // namespace leaktrace::symbolize
