// Discovery on files whose truth is known: executables without an allocator of their own, and libmimalloc.so.2, whose
// dynamic symbols name every function.
#include "analyzer/hooks/discovery.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>

namespace leaktrace::hooks {
namespace {

constexpr const char* kMimalloc = "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2";

TEST(Discovery, FindsNothingWhereNothingIs) {
  for (const char* path : {"/bin/ls", "/bin/bash"}) {
    const auto discovery = Discover(path);
    ASSERT_TRUE(discovery.ok()) << discovery.status();
    EXPECT_TRUE(discovery->allocators.empty()) << path;
    EXPECT_FALSE(discovery->has_libpas) << path;
  }
}

TEST(Discovery, ReportsWhatIsNoElfFile) { EXPECT_FALSE(Discover("/etc/passwd").ok()); }

// Roles of the exported functions that hold a pop or push of their own, or end a heap.
const std::map<std::string, std::string>& Truth() {
  static const std::map<std::string, std::string> truth = {
      {"mi_malloc", "malloc"},
      {"mi_malloc_small", "malloc"},
      {"mi_zalloc", "zalloc"},
      {"mi_zalloc_small", "zalloc"},
      {"mi_calloc", "calloc"},
      {"mi_free", "free"},
      {"mi_heap_malloc", "heap malloc"},
      {"mi_heap_zalloc", "heap zalloc"},
      {"mi_heap_malloc_small", "heap malloc"},
      {"mi_heap_calloc", "heap calloc"},
      {"mi_heap_mallocn", "heap calloc"},
      {"mi_new", "malloc"},
      {"mi_new_nothrow", "malloc"},
      {"mi_new_n", "calloc"},
      {"mi_heap_alloc_new", "heap malloc"},
      {"mi_heap_alloc_new_n", "heap calloc"},
      {"mi_heap_destroy", "heap destroy"},
      {"mi_heap_delete", "heap delete"},
  };
  return truth;
}

TEST(Discovery, AgreesWithTheSymbolsOfLibmimalloc) {
  if (access(kMimalloc, R_OK) != 0) GTEST_SKIP() << kMimalloc << " is not installed (package libmimalloc2.0)";
  const auto discovery = Discover(kMimalloc);
  ASSERT_TRUE(discovery.ok()) << discovery.status();
  ASSERT_EQ(discovery->allocators.size(), 1u);
  const FoundAllocator& found = discovery->allocators[0];
  EXPECT_EQ(found.name, "mimalloc v2");
  EXPECT_TRUE(found.complete());
  std::map<std::string, std::string> roles;
  for (const FoundEntry& entry : found.entries) {
    EXPECT_TRUE(entry.refused.empty()) << entry.refused;
    for (std::size_t at = 0; at < entry.symbol.size();) {
      const std::size_t end = std::min(entry.symbol.find(' ', at), entry.symbol.size());
      roles[entry.symbol.substr(at, end - at)] = entry.name;
      at = end + 1;
    }
  }
  for (const auto& [symbol, role] : Truth()) EXPECT_EQ(roles[symbol], role) << symbol;
}

}  // namespace
}  // namespace leaktrace::hooks
