#include "analyzer/js/jsc_layout.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "analyzer/js/interpreter_range.h"
#include "analyzer/js/jsc_calibration_script.h"
#include "analyzer/js/stopped_process.h"
#include "nlohmann/json.hpp"

namespace leaktrace::js {
namespace {

namespace fs = std::filesystem;

constexpr int kFunctions = 24;
constexpr std::size_t kFrameCodeBlock = 2;  // words from rbp (format/jsc_layout.h)
constexpr unsigned kCellTypeByte = 5;       // JSCell: u32 structure id, u8 indexing type, u8 type
// How far into an object a field may lie; the largest of the releases measured is 208 (SourceProvider's text in
// Bun 1.4.4).
constexpr unsigned kFirstField = 8, kLastField = 320;
constexpr std::size_t kLongestName = 4096, kLongestSource = 1 << 20;

bool IsHeapPointer(std::uint64_t word) { return word % 8 == 0 && word > 0xffff && word < (1ull << 47); }

// The fields of one object, read once.
class Object {
 public:
  Object(const StoppedProcess& process, std::uint64_t address) {
    if (!IsHeapPointer(address)) return;
    bytes_.resize(kLastField);
    while (!bytes_.empty() && !process.Read(address, bytes_.data(), bytes_.size())) bytes_.resize(bytes_.size() - 8);
  }
  std::optional<std::uint64_t> Word(unsigned offset) const { return Get<std::uint64_t>(offset); }
  std::optional<std::uint32_t> Half(unsigned offset) const { return Get<std::uint32_t>(offset); }
  std::optional<std::uint8_t> Byte(unsigned offset) const { return Get<std::uint8_t>(offset); }

 private:
  template <typename T>
  std::optional<T> Get(unsigned offset) const {
    if (offset + sizeof(T) > bytes_.size()) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  std::vector<unsigned char> bytes_;
};

// The text of an 8-bit StringImpl; nothing where there is none.
std::optional<std::string> ReadString(const StoppedProcess& process, std::uint64_t address, std::size_t longest) {
  if (!IsHeapPointer(address)) return std::nullopt;
  std::array<unsigned char, 24> head;
  if (!process.Read(address, head.data(), head.size())) return std::nullopt;
  std::uint32_t length, flags;
  std::uint64_t data;
  std::memcpy(&length, head.data() + format::kStringLengthOffset, sizeof length);
  std::memcpy(&data, head.data() + format::kStringDataOffset, sizeof data);
  std::memcpy(&flags, head.data() + format::kStringFlagsOffset, sizeof flags);
  if (length == 0 || length > longest || (flags & format::kStringIs8Bit) == 0) return std::nullopt;
  std::string text(length, '\0');
  if (!process.Read(data, text.data(), length)) return std::nullopt;
  return text;
}

struct NamePath {
  unsigned executable, unlinked, name;
  auto operator<=>(const NamePath&) const = default;
};

// A frame of the script: where it is on the stack and its CodeBlock.
struct ScriptFrame {
  std::uint64_t frame_pointer = 0, code_block = 0;
};

struct Calibration {
  const StoppedProcess& process;
  const CalibrationScript& script;
  const StoppedProcess::Stack& stack;
  std::vector<ScriptFrame> frames;  // of script.functions, innermost first
  JscLayoutFacts facts;

  std::uint64_t At(std::uint64_t address) const { return stack.words[(address - stack.begin) / 8]; }
  Object Executable(std::size_t function) const {
    return Object(process, Object(process, frames[function].code_block).Word(facts.code_block_executable).value_or(0));
  }
  // The value that `field` has in every function; nothing where it differs or is missing.
  template <typename Field>
  auto Common(Field field) const -> decltype(field(std::size_t{})) {
    auto first = field(0);
    for (std::size_t i = 1; first.has_value() && i < frames.size(); ++i) {
      if (field(i) != first) first.reset();
    }
    return first;
  }
};

// Finds the path CodeBlock -> executable -> unlinked executable -> name that gives, over all frames of the stack,
// exactly the script's functions, from the innermost outwards.
absl::Status FindNames(Calibration& calibration) {
  std::map<std::string, std::size_t> functions;
  for (std::size_t i = 0; i < calibration.script.functions.size(); ++i) functions[calibration.script.functions[i]] = i;
  std::map<NamePath, std::vector<ScriptFrame>> found;
  const auto& words = calibration.stack.words;
  const std::uint64_t end = calibration.stack.begin + words.size() * 8;
  for (std::size_t i = 0; i + kFrameCodeBlock < words.size(); ++i) {
    const std::uint64_t frame = calibration.stack.begin + i * 8, code_block = words[i + kFrameCodeBlock];
    if (words[i] <= frame || words[i] >= end || words[i] % 8 != 0 || code_block % 16 != 0 || !IsHeapPointer(code_block))
      continue;
    if (code_block >= calibration.stack.begin && code_block < end) continue;
    const Object block(calibration.process, code_block);
    for (unsigned a = kFirstField; a < kLastField; a += 8) {
      const auto executable_address = block.Word(a);
      if (!executable_address || !IsHeapPointer(*executable_address)) continue;
      const Object executable(calibration.process, *executable_address);
      for (unsigned b = kFirstField; b < kLastField; b += 8) {
        const auto unlinked_address = executable.Word(b);
        if (!unlinked_address || !IsHeapPointer(*unlinked_address)) continue;
        const Object unlinked(calibration.process, *unlinked_address);
        for (unsigned c = kFirstField; c < kLastField; c += 8) {
          const auto string = unlinked.Word(c);
          if (!string) break;
          const auto name = ReadString(calibration.process, *string, kLongestName);
          const auto function = name ? functions.find(*name) : functions.end();
          if (function == functions.end()) continue;
          auto& path = found[NamePath{a, b, c}];
          // In place only: the script's calls are nested, so functions must be met in their order.
          if (path.size() == function->second) path.push_back(ScriptFrame{frame, code_block});
        }
      }
    }
  }
  for (auto& [path, frames] : found) {
    if (frames.size() != calibration.script.functions.size()) continue;
    calibration.frames = frames;
    calibration.facts.code_block_executable = path.executable;
    calibration.facts.executable_unlinked = path.unlinked;
    calibration.facts.unlinked_name = path.name;
    const auto block_type = calibration.Common(
        [&](std::size_t i) { return Object(calibration.process, frames[i].code_block).Byte(kCellTypeByte); });
    const auto executable_type =
        calibration.Common([&](std::size_t i) { return calibration.Executable(i).Byte(kCellTypeByte); });
    if (!block_type || !executable_type) continue;
    calibration.facts.code_block_type = *block_type;
    calibration.facts.function_executable_type = *executable_type;
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("no path from a frame to a function's name (", found.size(), " partial ones)"));
}

// Finds the source provider, its URL and its text.
absl::StatusOr<std::string> FindSource(Calibration& calibration, const std::string& script_path) {
  for (unsigned a = kFirstField; a < kLastField; a += 8) {
    const auto provider_address = calibration.Common([&](std::size_t i) { return calibration.Executable(i).Word(a); });
    if (!provider_address || !IsHeapPointer(*provider_address)) continue;
    const Object provider(calibration.process, *provider_address);
    std::optional<unsigned> url;
    std::optional<std::pair<unsigned, std::string>> source;
    for (unsigned b = kFirstField; b < kLastField; b += 8) {
      const auto word = provider.Word(b);
      if (!word) break;
      const auto text = ReadString(calibration.process, *word, kLongestSource);
      if (!text) continue;
      if (!url && *text == script_path) url = b;
      if (!source && text->size() >= calibration.script.functions.size() * 20 &&
          absl::StrContains(*text, calibration.script.functions.front()) &&
          absl::StrContains(*text, calibration.script.functions.back())) {
        source.emplace(b, *text);
      }
    }
    if (!url || !source) continue;
    calibration.facts.executable_provider = a;
    calibration.facts.provider_url = *url;
    calibration.facts.provider_source = source->first;
    return source->second;
  }
  return absl::NotFoundError("no source provider with the script's path and text");
}

// Where function `name` begins (its parameter list) and ends (behind its last brace) in the text that the engine has.
std::optional<std::pair<std::int64_t, std::int64_t>> Extent(const std::string& source, const std::string& name) {
  std::size_t definition = source.find("function " + name + "(");
  if (definition == std::string::npos) definition = source.find(name + " = function");
  if (definition == std::string::npos) return std::nullopt;
  const std::size_t parameters = source.find('(', definition);
  std::size_t at = source.find('{', definition);
  int depth = 0;
  for (; at < source.size(); ++at) {
    if (source[at] == '{') ++depth;
    if (source[at] == '}' && --depth == 0) break;
  }
  if (at >= source.size() || parameters == std::string::npos) return std::nullopt;
  return std::make_pair(static_cast<std::int64_t>(parameters), static_cast<std::int64_t>(at) + 1);
}

absl::Status FindExtents(Calibration& calibration, const std::string& source) {
  std::vector<std::pair<std::int64_t, std::int64_t>> extents;
  for (const std::string& name : calibration.script.functions) {
    const auto extent = Extent(source, name);
    if (!extent) return absl::NotFoundError(absl::StrCat("the engine's text does not define ", name));
    extents.push_back(*extent);
  }
  // The constant that a field differs by from `place` in every function.
  auto find = [&](auto place, std::uint16_t& offset, std::int32_t& correction) {
    for (unsigned o = kFirstField; o < kLastField; o += 4) {
      const auto difference = calibration.Common([&](std::size_t i) -> std::optional<std::int64_t> {
        const auto field = calibration.Executable(i).Half(o);
        return field ? std::optional<std::int64_t>(place(extents[i]) - *field) : std::nullopt;
      });
      if (!difference || std::abs(*difference) > 64) continue;
      offset = o;
      correction = static_cast<std::int32_t>(*difference);
      return true;
    }
    return false;
  };
  auto& facts = calibration.facts;
  if (!find([](auto& extent) { return extent.first; }, facts.executable_start, facts.start_correction)) {
    return absl::NotFoundError("no field tells where a function begins");
  }
  if (!find([](auto& extent) { return extent.second; }, facts.executable_end, facts.end_correction)) {
    return absl::NotFoundError("no field tells where a function ends");
  }
  return absl::OkStatus();
}

absl::Status FindInterpreter(Calibration& calibration) {
  // The pc of a frame is the return address in the frame that it called.
  std::vector<std::uint64_t> known;
  for (std::size_t i = 1; i < calibration.frames.size(); ++i) {
    const std::uint64_t inner = calibration.frames[i - 1].frame_pointer;
    if (calibration.At(inner) == calibration.frames[i].frame_pointer) known.push_back(calibration.At(inner + 8));
  }
  const auto image = calibration.process.FindExecutableCode(known.empty() ? 0 : known.front());
  if (!image.ok()) return image.status();
  for (std::uint64_t& address : known) address -= image->load_bias;
  const auto range = FindInterpreterRange(image->code, image->address, known);
  if (!range) return absl::NotFoundError("no run of opcode dispatch jumps around the frames' return addresses");
  std::tie(calibration.facts.interpreter_begin, calibration.facts.interpreter_end) = *range;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<JscLayoutFacts> CalibrateJscLayout(const std::string& executable, absl::Duration timeout) {
  std::string directory = (fs::temp_directory_path() / "leaktrace-calibrate-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr)
    return absl::UnavailableError(absl::StrCat(directory, ": ", std::strerror(errno)));
  const absl::Cleanup remove = [&directory] {
    std::error_code ignored;
    fs::remove_all(directory, ignored);
  };
  const CalibrationScript script = MakeCalibrationScript(kFunctions);
  const std::string path = (fs::canonical(directory) / "calibration.cjs").string();
  std::ofstream(path) << script.text;
  // Interpreter frames only: compiled code would inline the small functions. No transpiler cache: it would be left
  // behind.
  const auto process =
      StoppedProcess::Start({executable, path},
                            {"BUN_JSC_useJIT=0", "BUN_RUNTIME_TRANSPILER_CACHE_PATH=0", "DO_NOT_TRACK=1",
                             "BUN_BE_BUN=1", absl::StrCat("HOME=", directory), absl::StrCat("TMPDIR=", directory)},
                            directory, timeout);
  if (!process.ok()) return process.status();
  const auto stack = process->ReadStack();
  if (!stack.ok()) return stack.status();
  Calibration calibration{*process, script, *stack, {}, {}};
  if (absl::Status status = FindNames(calibration); !status.ok()) return status;
  const auto source = FindSource(calibration, path);
  if (!source.ok()) return source.status();
  if (absl::Status status = FindExtents(calibration, *source); !status.ok()) return status;
  if (absl::Status status = FindInterpreter(calibration); !status.ok()) return status;
  return calibration.facts;
}

namespace {

// The cache file, one number a field. Written by Store, read by Load; any difference in shape makes it worthless.
constexpr int kCacheVersion = 1;

template <typename Visit>
void ForEachField(JscLayoutFacts& facts, Visit visit) {
  visit("interpreter_begin", facts.interpreter_begin);
  visit("interpreter_end", facts.interpreter_end);
  visit("code_block_type", facts.code_block_type);
  visit("function_executable_type", facts.function_executable_type);
  visit("code_block_executable", facts.code_block_executable);
  visit("executable_provider", facts.executable_provider);
  visit("executable_unlinked", facts.executable_unlinked);
  visit("unlinked_name", facts.unlinked_name);
  visit("provider_url", facts.provider_url);
  visit("provider_source", facts.provider_source);
  visit("executable_start", facts.executable_start);
  visit("executable_end", facts.executable_end);
  visit("start_correction", facts.start_correction);
  visit("end_correction", facts.end_correction);
}

std::optional<JscLayoutFacts> ReadCache(const fs::path& path) {
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("version", 0) != kCacheVersion) return std::nullopt;
  JscLayoutFacts facts;
  bool complete = true;
  ForEachField(facts, [&](const char* name, auto& field) {
    const auto value = json.find(name);
    if (value == json.end() || !value->is_number_integer()) {
      complete = false;
    } else {
      field = value->template get<std::remove_reference_t<decltype(field)>>();
    }
  });
  return complete ? std::optional(facts) : std::nullopt;
}

// A cache that cannot be written costs the next start a calibration, no more; so errors are not reported.
void WriteCache(const fs::path& path, JscLayoutFacts facts) {
  nlohmann::ordered_json json{{"version", kCacheVersion}};
  ForEachField(facts, [&](const char* name, auto& field) { json[name] = field; });
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  const fs::path part = absl::StrCat(path.string(), ".", getpid());
  std::ofstream(part) << json.dump(1) << '\n';
  fs::rename(part, path, ignored);
}

}  // namespace

absl::StatusOr<JscLayoutFacts> LoadJscLayout(const std::string& executable, const std::string& build_id,
                                             const std::string& cache_directory) {
  const fs::path path = fs::path(cache_directory) / absl::StrCat("jsc-", build_id, ".json");
  if (!build_id.empty()) {
    if (const auto cached = ReadCache(path)) return *cached;
  }
  auto facts = CalibrateJscLayout(executable);
  if (facts.ok() && !build_id.empty()) WriteCache(path, *facts);
  return facts;
}

void PublishJscLayout(const JscLayoutFacts& facts, format::JscLayout& shared) {
  shared.version = format::kJscLayoutVersion;
  shared.interpreter_begin = facts.interpreter_begin;
  shared.interpreter_end = facts.interpreter_end;
  shared.cell_type = kCellTypeByte;
  shared.code_block_type = facts.code_block_type;
  shared.function_executable_type = facts.function_executable_type;
  shared.code_block_executable = facts.code_block_executable;
  shared.executable_provider = facts.executable_provider;
  shared.executable_unlinked = facts.executable_unlinked;
  shared.unlinked_name = facts.unlinked_name;
  shared.provider_url = facts.provider_url;
  shared.provider_source = facts.provider_source;
  shared.executable_start = facts.executable_start;
  shared.executable_end = facts.executable_end;
  shared.start_correction = facts.start_correction;
  shared.end_correction = facts.end_correction;
  shared.valid.store(1, std::memory_order_release);  // matched by the acquire load in preload/js/jsc.cc
}

}  // namespace leaktrace::js
