#include "preload/session/selection.h"

#include "preload/base/memory.h"

namespace leaktrace::preload {
namespace {

constexpr const char* kLaunchers[] = {
    // shells
    "sh",
    "bash",
    "dash",
    "ash",
    "zsh",
    "ksh",
    "mksh",
    "fish",
    "busybox",
    // programs that run another with something changed
    "env",
    "timeout",
    "nice",
    "ionice",
    "nohup",
    "setsid",
    "stdbuf",
    "chroot",
    "chrt",
    "taskset",
    "time",
    "xargs",
    "sudo",
    "su",
    "setpriv",
    "runuser",
    "unshare",
    "nsenter",
    "flock",
    "tini",
    "dumb-init",
    "catatonit",
    "gosu",
    "su-exec",
    "prlimit",
    "script",
    "watch",
    "strace",
    "perf",
    "gdb",
    "make",
    "leaktrace",
    // what shell scripts call on the way
    "[",
    "basename",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dirname",
    "echo",
    "expr",
    "false",
    "find",
    "grep",
    "head",
    "hostname",
    "id",
    "ln",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "sed",
    "seq",
    "sleep",
    "sort",
    "stat",
    "tail",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "tty",
    "uname",
    "uniq",
    "wc",
    "which",
    "gawk",
    "mawk",
    "awk",
    "git",
};

// Scripts that a JavaScript runtime runs in order to start the program proper.
constexpr const char* kLauncherScripts[] = {
    "npm",     "npm-cli.js", "npx",      "npx-cli.js", "yarn",     "yarn.js",  "yarn.cjs",
    "yarnpkg", "pnpm",       "pnpm.cjs", "pnpx",       "pnpx.cjs", "corepack", "corepack.js",
};

template <std::size_t kCount>
bool IsOneOf(const char* name, const char* const (&names)[kCount]) {
  for (const char* other : names) {
    if (Equal(name, other)) return true;
  }
  return false;
}

constexpr const char* kRuntimes[] = {"nodejs", "node", "bunx", "bun"};

// node, nodejs, bun, and with a version at the end: node20, node-22.1, bun-1.4.
bool IsRuntime(const char* name) {
  for (const char* runtime : kRuntimes) {
    const char* rest = After(name, runtime);
    if (rest == nullptr) continue;
    while (*rest == '-' || *rest == '.' || (*rest >= '0' && *rest <= '9')) ++rest;
    if (*rest == '\0') return true;
  }
  return false;
}

bool IsNamed(const char* list, const char* path) {
  const char* const name = BaseName(path);
  while (*list != '\0') {
    std::size_t length = 0;
    while (list[length] != '\0' && list[length] != ',') ++length;
    if (length > 0 && (Equal(list, length, list[0] == '/' ? path : name))) return true;
    list += length;
    if (*list == ',') ++list;
  }
  return false;
}

bool IsLauncher(const Executable& executable) {
  const char* const name = BaseName(executable.path);
  return IsOneOf(name, kLaunchers) ||
         (IsRuntime(name) && IsOneOf(BaseName(executable.first_argument), kLauncherScripts));
}

}  // namespace

bool IsSelected(const Options& options, const Executable& executable) {
  if (!options.enabled) return false;
  if (options.first != nullptr && !options.children) return false;
  if (options.executables[0] != '\0') return IsNamed(options.executables, executable.path);
  if (IsLauncher(executable)) return false;
  return options.first == nullptr || IsRuntime(BaseName(executable.path)) || Equal(options.first, executable.path);
}

}  // namespace leaktrace::preload
