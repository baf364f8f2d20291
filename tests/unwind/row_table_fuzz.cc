// Any bytes as an ELF file: an error, or rows that are sorted.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "analyzer/unwind/row_table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto table = leaktrace::LoadRowsFromMemory(leaktrace::Bytes(data, data + size));
  if (!table.ok()) return 0;
  for (std::size_t i = 1; i < table->rows.size(); ++i) {
    if (table->rows[i - 1].pc >= table->rows[i].pc) std::abort();
  }
  return 0;
}
