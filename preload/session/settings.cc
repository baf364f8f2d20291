#include "preload/session/settings.h"

#include <dlfcn.h>

#include "preload/base/arena.h"
#include "preload/base/memory.h"
#include "preload/base/message.h"
#include "preload/session/facts.h"
#include "preload/session/selection.h"

namespace leaktrace::preload {
namespace {

constinit Arena arena;

const char* Keep(const char* text, std::size_t bytes) {
  auto* const copy = static_cast<char*>(arena.Allocate(bytes + 1));
  if (copy == nullptr) return nullptr;
  Copy(copy, text, bytes);
  copy[bytes] = '\0';
  return copy;
}

const char* Keep(const char* text) { return Keep(text, Length(text)); }

std::size_t Count(const char* const* texts) {
  std::size_t count = 0;
  while (texts[count] != nullptr) ++count;
  return count;
}

// A copy of the array and of its strings.
const char* const* KeepAll(const char* const* texts) {
  const std::size_t count = Count(texts);
  auto** const copies = static_cast<const char**>(arena.Allocate((count + 1) * sizeof(char*)));
  if (copies == nullptr) return nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    copies[i] = Keep(texts[i]);
    if (copies[i] == nullptr) return nullptr;
  }
  copies[count] = nullptr;
  return copies;
}

// The same strings and LEAKTRACE_FIRST. An array of the library's own, not putenv's: libc makes a new one when the
// target changes its environment, but would never free this one, and what it allocated here would be counted as the
// target's.
char** Mark(const char* const* environment, const char* executable) {
  const char* const name = format::kOptions[static_cast<unsigned>(format::Option::kFirst)].name;
  const std::size_t bytes = Length(name) + Length(executable) + 2, count = Count(environment);
  auto** const marked = static_cast<char**>(arena.Allocate((count + 2) * sizeof(char*)));
  auto* const mark = static_cast<char*>(arena.Allocate(bytes));
  if (marked == nullptr || mark == nullptr) return nullptr;
  TextBuilder(mark, bytes).Add(name).Add('=').Add(executable);
  for (std::size_t i = 0; i < count; ++i) marked[i] = const_cast<char*>(environment[i]);
  marked[count] = mark;
  return marked;
}

// Absolute, because the working directory may be another when a forked child needs it.
const char* KeepAbsolute(const char* path) {
  char absolute[format::kMaxPath];
  return MakeAbsolute(path, absolute, sizeof(absolute)) ? Keep(absolute) : nullptr;
}

// <prefix>/lib/libleaktrace.so has its recorder at <prefix>/bin/leaktrace.
const char* KeepRecorderPath() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&ReadSettings), &info) == 0 || info.dli_fname == nullptr) return nullptr;
  char library[format::kMaxPath];
  if (!MakeAbsolute(info.dli_fname, library, sizeof(library))) return nullptr;
  char path[format::kMaxPath];
  TextBuilder text(path, sizeof(path));
  const auto directory = static_cast<std::size_t>(BaseName(library) - library);
  text.Add(library, directory).Add("../bin/leaktrace");
  return text.Complete() ? Keep(path) : nullptr;
}

}  // namespace

void ReadSettings(const char* const* environment, Settings& settings) {
  char executable[format::kMaxPath];
  ReadExecutablePath(executable, sizeof(executable));
  auto* const arguments = static_cast<char*>(arena.Allocate(format::kMaxArguments));
  if (arguments == nullptr) return;
  settings.argument_bytes = ReadFile("/proc/self/cmdline", arguments, format::kMaxArguments);
  settings.arguments = arguments;
  const std::size_t first = Length(arguments) + 1;
  const Executable description{executable, first < settings.argument_bytes ? arguments + first : ""};

  Options& options = settings.options;
  const WrongOption wrong = ReadOptions(environment, options);
  if (!IsSelected(options, description)) {
    settings = Settings{};
    arena.Release();
    return;
  }
  if (wrong.variable != nullptr) {
    Say(wrong.variable, " is not one of ", wrong.values, "; not traced");
    return;
  }

  options.output = KeepAbsolute(options.output);
  options.recorder = options.recorder != nullptr ? KeepAbsolute(options.recorder) : KeepRecorderPath();
  settings.executable = Keep(executable);
  settings.environment = KeepAll(environment);
  settings.marked_environment =
      options.first == nullptr ? Mark(environment, executable) : const_cast<char**>(environment);
  if (options.output == nullptr || options.recorder == nullptr || settings.executable == nullptr ||
      settings.environment == nullptr || settings.marked_environment == nullptr) {
    Say("the working directory or the library's path is not known, or there is no memory; not traced");
    return;
  }
  settings.traced = true;
}

}  // namespace leaktrace::preload
