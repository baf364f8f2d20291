// Prints where it is loaded and the return addresses of some calls, a line each: `name value` in hexadecimal.
#include <link.h>

#include <cstdint>
#include <cstdio>

namespace {

int load_address_is_known = 0;

int PrintModule(dl_phdr_info* info, std::size_t, void*) {
  if (load_address_is_known++ != 0) return 0;  // the executable comes first
  std::uint64_t end = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type == PT_LOAD && header.p_vaddr + header.p_memsz > end) end = header.p_vaddr + header.p_memsz;
  }
  std::printf("load %zx\nend %zx\n", static_cast<std::size_t>(info->dlpi_addr),
              static_cast<std::size_t>(info->dlpi_addr + end));
  return 0;
}

}  // namespace

__attribute__((noinline)) void PrintCaller(const char* name) {
  std::printf("%s %zx\n", name, reinterpret_cast<std::size_t>(__builtin_return_address(0)));
}

// The call is the last instruction: its return address is the first of what follows.
__attribute__((noinline)) void PrintLastCaller(const char* name);
__attribute__((noinline)) void NeverReturns() {
  PrintLastCaller("never_returns");
  __builtin_unreachable();
}

namespace victim {

template <typename Value>
struct Box {
  __attribute__((noinline)) void Fill(Value value, const char* name, const std::size_t& count) {
    PrintCaller(name);
    sum += static_cast<std::size_t>(value) + count;
  }
  std::size_t sum = 0;
};

__attribute__((always_inline)) inline void Innermost() {
  PrintCaller("inlined");  // line of the innermost inlined call
  load_address_is_known += 2;
}

__attribute__((always_inline)) inline void Middle() {
  Innermost();
  load_address_is_known += 3;
}

__attribute__((noinline)) void Outer() {
  Middle();
  load_address_is_known += 4;
}

namespace {
__attribute__((noinline)) void Hidden() {
  PrintCaller("anonymous");
  load_address_is_known += 5;
}
}  // namespace

}  // namespace victim

int main() {
  dl_iterate_phdr(PrintModule, nullptr);
  victim::Outer();
  victim::Hidden();
  victim::Box<unsigned long long> box;
  box.Fill(7, "template", 3);
  std::fflush(stdout);
  NeverReturns();
}

#include <cstdlib>

void PrintLastCaller(const char* name) {
  PrintCaller("main_like");
  std::printf("%s %zx\n", name, reinterpret_cast<std::size_t>(__builtin_return_address(0)));
  std::fflush(stdout);
  std::exit(0);
}
