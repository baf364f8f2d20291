// The way into main: what main returns is the exit status, and libc's own call of exit with it cannot be interposed.
#include <cstddef>

#include "preload/base/attributes.h"
#include "preload/hook/original.h"
#include "preload/js/frames.h"
#include "preload/record/lifecycle.h"
#include "preload/unwind/main_return.h"

namespace leaktrace::preload {
namespace {

using Main = int (*)(int, char**, char**);
using Function = void (*)();
using StartMain = int (*)(Main, int, char**, Function, Function, Function, void*);

constinit Original<StartMain> original_start_main{"__libc_start_main", nullptr};
constinit Main target_main = nullptr;

int RunMain(int argument_count, char** arguments, char** environment) {
  main_return = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  js::BeforeMain();
  const int status = target_main(argument_count, arguments, environment);
  OnExit(status);
  return status;
}

}  // namespace
}  // namespace leaktrace::preload

using namespace leaktrace::preload;  // NOLINT(google-build-using-namespace): the hooks below have C's names

LEAKTRACE_EXPORT int __libc_start_main(Main entry, int argument_count, char** arguments, Function init, Function fini,
                                       Function loader_fini, void* stack_end) {
  target_main = entry;
  return original_start_main.Get()(RunMain, argument_count, arguments, init, fini, loader_fini, stack_end);
}
