#include "analyzer/unwind/row_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "analyzer/base/cache_directory.h"

namespace leaktrace {
namespace {

constexpr std::uint64_t kMagic = 0x73776f722d746c00;  // "\0lt-rows"
constexpr std::uint32_t kVersion = 3;                 // of the file and of what the row builder makes
constexpr std::uint32_t kMaxRows = 64u << 20;

// The file: this header, then the rows.
struct Header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t unsupported;
  std::uint64_t code;
  std::uint32_t row_count;
  std::uint32_t crc;  // CRC-32 of the rows and of this header with crc = 0
};
static_assert(sizeof(Header) == 32);

std::uint32_t Checksum(Header header, absl::Span<const format::UnwindRow> rows) {
  header.crc = 0;
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(&header), sizeof(header));
  return static_cast<std::uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(rows.data()), rows.size() * sizeof(format::UnwindRow)));
}

bool ReadFully(int descriptor, void* out, std::size_t size) {
  auto* next = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = read(descriptor, next, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    next += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace

std::optional<RowCacheEntry> RowCacheEntry::For(const ElfFile& file, const std::string& directory) {
  const Bytes& id = file.build_id();
  if (directory.empty() || id.size() < 8 || id.size() > 64) return std::nullopt;
  uLong code = crc32_z(0, nullptr, 0);
  for (const ElfSegment& segment : file.segments()) {
    const std::array<std::uint64_t, 5> fields = {segment.type, segment.flags, segment.offset, segment.address,
                                                 segment.file_size};
    code = crc32_z(code, reinterpret_cast<const Bytef*>(fields.data()), sizeof(fields));
  }
  const std::string hex =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(id.data()), id.size()));
  return RowCacheEntry(absl::StrCat(directory, "/", hex, ".rows"), file.size() << 32 ^ code);
}

std::optional<RowTable> RowCacheEntry::Read() const {
  const int descriptor = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return std::nullopt;
  const absl::Cleanup clean = [&] { close(descriptor); };
  struct stat status {};
  Header header;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || !ReadFully(descriptor, &header, sizeof(header)))
    return std::nullopt;
  if (header.magic != kMagic || header.version != kVersion || header.code != code_ || header.row_count > kMaxRows ||
      static_cast<std::uint64_t>(status.st_size) != sizeof(header) + header.row_count * sizeof(format::UnwindRow)) {
    return std::nullopt;
  }
  RowTable table;
  table.rows.resize(header.row_count);
  table.unsupported = header.unsupported;
  if (!ReadFully(descriptor, table.rows.data(), table.rows.size() * sizeof(format::UnwindRow))) return std::nullopt;
  if (Checksum(header, table.rows) != header.crc) return std::nullopt;
  return table;
}

void RowCacheEntry::Write(const RowTable& table) const {
  if (table.rows.size() > kMaxRows) return;
  Header header{.magic = kMagic,
                .version = kVersion,
                .unsupported = table.unsupported,
                .code = code_,
                .row_count = static_cast<std::uint32_t>(table.rows.size()),
                .crc = 0};
  header.crc = Checksum(header, table.rows);
  const std::array<absl::string_view, 2> parts = {
      absl::string_view(reinterpret_cast<const char*>(&header), sizeof(header)),
      absl::string_view(reinterpret_cast<const char*>(table.rows.data()),
                        table.rows.size() * sizeof(format::UnwindRow))};
  WriteFileAtomically(path_, parts).IgnoreError();
}

}  // namespace leaktrace
