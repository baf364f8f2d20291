#include "preload/unwind/row_finder.h"

#include "preload/base/memory.h"
#include "preload/session/process.h"

namespace leaktrace::preload {
namespace {

using format::UnwindModule;
using format::UnwindRow;

// The last row whose pc is not above `pc`.
Row SearchModule(const UnwindRow* rows, std::uint32_t count, std::uint32_t pc) {
  std::uint32_t low = 0, high = count;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (rows[middle].pc <= pc) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return {};
  const UnwindRow row = rows[low - 1];
  return {row.rule, row.rbp_offset, row.cfa_offset};
}

}  // namespace

void RowFinder::Clear() { preload::Clear(entries_, sizeof(entries_)); }

Row RowFinder::Search(std::uintptr_t pc) {
  const format::SessionHeader& header = *process.header;
  const auto* const base = reinterpret_cast<const unsigned char*>(&header);
  const auto* const modules = reinterpret_cast<const UnwindModule*>(base + header.modules_offset);
  for (std::uint32_t i = 0; i < format::kMaxUnwindModules; ++i) {
    const UnwindModule& module = modules[i];
    // Matched by the recorder's release store after it has filled the slot. Slots are filled in order.
    const std::uint32_t generation = module.generation.load(std::memory_order_acquire);
    if (generation == 0) break;
    if (generation % 2 == 0 || pc < module.begin || pc >= module.end) continue;
    const std::uint64_t offset = module.rows_offset, count = module.row_count;
    if (offset > header.total_bytes || count > (header.total_bytes - offset) / sizeof(UnwindRow) ||
        pc < module.load_address)
      break;
    const std::uint64_t relative = pc - module.load_address;
    if (relative > 0xffff'ffff) break;
    return SearchModule(reinterpret_cast<const UnwindRow*>(base + offset), static_cast<std::uint32_t>(count),
                        static_cast<std::uint32_t>(relative));
  }
  return {};
}

}  // namespace leaktrace::preload
