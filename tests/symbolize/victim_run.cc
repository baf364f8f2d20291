#include "tests/symbolize/victim_run.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "analyzer/base/elf_file.h"

namespace leaktrace::symbolize {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "symbolize-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void RunCommand(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

VictimRun RunVictim(const std::string& path) {
  VictimRun run;
  std::unique_ptr<FILE, int (*)(FILE*)> output(popen(path.c_str(), "r"), pclose);
  char name[64];
  std::size_t value = 0;
  while (output != nullptr && std::fscanf(output.get(), "%63s %zx", name, &value) == 2) run.values[name] = value;
  const auto file = ElfFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  run.module.path = path;
  if (file.ok()) run.module.build_id.assign(file->build_id().begin(), file->build_id().end());
  run.module.load_address = run.module.begin = run.values["load"];
  run.module.end = run.values["end"];
  return run;
}

std::vector<Line> LinesOf(const VictimRun& run, const std::string& call, const Module& module, Options options,
                          std::vector<std::string>* notes) {
  const auto address = run.values.find(call);
  EXPECT_NE(address, run.values.end()) << call;
  if (address == run.values.end()) return {};
  Symbolizer symbolizer(std::move(options));
  symbolizer.AddModule(module);
  std::vector<std::vector<Line>> lines = symbolizer.Resolve({Frame{1, format::FrameKind::kNative, address->second}});
  if (notes != nullptr) *notes = symbolizer.notes();
  return lines.at(0);
}

std::string Functions(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) {
    if (!text.empty()) text += " < ";
    text += line.inlined ? "(" + DisplayName(line) + ")" : DisplayName(line);
  }
  return text;
}

}  // namespace leaktrace::symbolize
