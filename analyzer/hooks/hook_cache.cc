#include "analyzer/hooks/hook_cache.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzer/base/cache_directory.h"
#include "analyzer/base/elf_file.h"
#include "analyzer/hooks/discovery.h"

namespace leaktrace::hooks {
namespace {

constexpr std::uint32_t kMagic = 0x504d484c;  // "LHMP"

// The file: this header, then a HookMap.
struct CacheHeader {
  std::uint32_t magic;
  std::uint32_t version;  // of the hook map's layout and of what discovery finds
  std::uint32_t bytes;    // of the HookMap
  std::uint32_t crc;      // of the HookMap (zlib's crc32)
};

// Grows when discovery finds other things than before.
constexpr std::uint32_t kDiscoveryVersion = 3;
constexpr std::uint32_t kVersion = format::kHookMapVersion << 16 | kDiscoveryVersion;

std::uint32_t ChecksumOf(const HookMap& map) {
  return static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(&map), sizeof map));
}

std::optional<HookMap> Read(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return std::nullopt;
  const absl::Cleanup close = [file] { std::fclose(file); };
  const auto ignore = [&](const char* reason) {
    absl::FPrintF(stderr, "leaktrace: %s: %s; it is ignored and made anew\n", path, reason);
    return std::nullopt;
  };
  CacheHeader header;
  if (std::fread(&header, sizeof header, 1, file) != 1 || header.magic != kMagic) return ignore("not a hook map");
  if (header.version != kVersion || header.bytes != sizeof(HookMap)) return ignore("a hook map of another version");
  HookMap map;
  if (std::fread(static_cast<void*>(&map), sizeof map, 1, file) != 1) return ignore("the hook map is cut off");
  const bool counts = map.allocator_count < format::kMaxAllocators && map.entry_count <= format::kMaxHooks;
  if (ChecksumOf(map) != header.crc || !counts) return ignore("the hook map's checksum differs");
  return map;
}

void Write(const std::string& path, const HookMap& map) {
  const CacheHeader header{kMagic, kVersion, sizeof map, ChecksumOf(map)};
  const absl::string_view parts[] = {{reinterpret_cast<const char*>(&header), sizeof header},
                                     {reinterpret_cast<const char*>(&map), sizeof map}};
  const absl::Status status = WriteFileAtomically(path, parts);
  if (!status.ok()) absl::FPrintF(stderr, "leaktrace: %s; hook maps are not cached\n", status.message());
}

// What the patcher uses of a discovery: the entries that can be patched.
void FillMap(const Discovery& discovery, HookMap& map) {
  map.system_malloc_switch = discovery.has_libpas ? 1 : 0;
  for (const FoundAllocator& found : discovery.allocators) {
    if (map.allocator_count + 1 >= format::kMaxAllocators || map.entry_count + found.entries.size() > format::kMaxHooks)
      break;
    format::HookAllocator& allocator = map.allocators[map.allocator_count];
    std::memcpy(allocator.name, found.name.data(), std::min(found.name.size(), sizeof allocator.name - 1));
    allocator.complete = found.complete() ? 1 : 0;
    allocator.block_size_offset = found.block_size_offset;
    allocator.block_size_bytes = found.block_size_bytes;
    for (const FoundEntry& entry : found.entries) {
      if (entry.hook.displaced_bytes == 0) continue;
      format::HookEntry& hook = map.entries[map.entry_count++];
      hook = entry.hook;
      hook.allocator = static_cast<std::uint8_t>(map.allocator_count);
    }
    ++map.allocator_count;
  }
}

}  // namespace

void CopyToTable(const HookMap& map, format::HookMapTable& table) {
  table.version = format::kHookMapVersion;
  table.allocator_count = map.allocator_count;
  table.system_malloc_switch = map.system_malloc_switch;
  std::copy(std::begin(map.allocators), std::end(map.allocators), std::begin(table.allocators));
  std::copy(std::begin(map.entries), std::end(map.entries), std::begin(table.entries));
  table.entry_count = map.entry_count;
}

HookMap LoadHookMap(const std::string& executable, const std::string& cache_directory) {
  HookMap map;
  const auto file = ElfFile::Open(executable);
  if (!file.ok()) {
    absl::FPrintF(stderr, "leaktrace: %s; allocators linked into it are not traced\n", file.status().message());
    return map;
  }
  std::string path;
  if (!cache_directory.empty() && !file->build_id().empty()) {
    const absl::string_view id(reinterpret_cast<const char*>(file->build_id().data()), file->build_id().size());
    path = absl::StrCat(cache_directory, "/hooks-", absl::BytesToHexString(id), ".map");
    if (auto cached = Read(path)) return *cached;
  }
  const auto discovery = Discover(executable);
  if (!discovery.ok()) {
    absl::FPrintF(stderr, "leaktrace: %s; allocators linked into it are not traced\n", discovery.status().message());
    return map;
  }
  FillMap(*discovery, map);
  if (!path.empty()) Write(path, map);
  return map;
}

}  // namespace leaktrace::hooks
