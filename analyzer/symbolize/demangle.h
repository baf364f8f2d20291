// Readable names of mangled C++ and Rust symbols.
// Any bytes may be given: what is not a mangled name comes back as it is. Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace leaktrace::symbolize {

// The whole name: `std::vector<int, std::allocator<int> >::push_back(int const&)`; of Rust symbols with their hash.
// Versions of symbols
// (`malloc@@GLIBC_2.2.5`) and the marks of parts that a compiler split off (`f.cold`, `f.part.0`) are dropped.
std::string DemangleFull(std::string_view symbol);

// The name that reports show: ShortenName of the whole name.
std::string DemangleShort(std::string_view symbol);

// A demangled name without parameter lists longer than 32 characters, template arguments longer than 16, ABI tags and
// the arguments of lambdas (`{lambda#2}`); `std::__cxx11::basic_string<char, ...>` reads `std::string`. A short name
// stays as it is.
std::string ShortenName(std::string_view name);

// A demangled name without any parameter list, qualifier or template argument: what rules compare.
std::string BareName(std::string_view name);

}  // namespace leaktrace::symbolize
