#include "analyzer/record/target_tables.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "analyzer/base/elf_file.h"
#include "analyzer/hooks/hook_cache.h"
#include "analyzer/js/jsc_layout.h"
#include "analyzer/unwind/row_table.h"
#include "format/jsc_layout.h"

namespace leaktrace::record {
namespace {

// The vdso is in no file.
absl::StatusOr<RowTable> LoadRowsOfProcess(std::uint32_t pid, std::uint64_t begin, std::uint64_t end) {
  constexpr std::uint64_t kMostBytes = 1 << 20;
  if (end <= begin || end - begin > kMostBytes) return absl::InvalidArgumentError("no image");
  const int descriptor = open(absl::StrCat("/proc/", pid, "/mem").c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, "cannot read the target's memory");
  Bytes image(end - begin);
  const ssize_t count = pread(descriptor, image.data(), image.size(), static_cast<off_t>(begin));
  close(descriptor);
  if (count != static_cast<ssize_t>(image.size())) return absl::DataLossError("the target's memory is gone");
  return LoadRowsFromMemory(std::move(image));
}

}  // namespace

TargetTables::TargetTables(const Session& session, std::string cache_directory)
    : session_(session), cache_directory_(std::move(cache_directory)) {}

std::string TargetTables::PathFromHere(const std::string& path) const {
  std::string through_root = absl::StrCat("/proc/", session_.facts().pid, "/root", path);
  return access(through_root.c_str(), R_OK) == 0 ? through_root : path;
}

TargetTables::Rows TargetTables::PublishRows(const format::ModuleRecord& module, const std::string& path) {
  absl::StatusOr<RowTable> table = absl::NotFoundError("no path");
  if (absl::StartsWith(path, "/")) {
    table = LoadRows(PathFromHere(path), cache_directory_);
  } else {
    table = LoadRowsOfProcess(session_.facts().pid, module.begin, module.end);
  }
  if (!table.ok() || table->rows.empty()) return {};
  const Rows rows{static_cast<std::uint32_t>(table->rows.size()), table->unsupported};
  // A target with more modules, or a larger one, is unwound by frame pointers there.
  if (next_slot_ == format::kMaxUnwindModules || table->rows.size() > session_.unwind_rows().size() - rows_used_)
    return {};
  std::copy(table->rows.begin(), table->rows.end(), session_.unwind_rows().begin() + rows_used_);
  format::UnwindModule& slot = session_.unwind_modules()[next_slot_++];
  slot.row_count = rows.count;
  slot.begin = module.text_begin;
  slot.end = module.text_end;
  slot.load_address = module.load_address;
  slot.rows_offset = session_.rows_offset() + rows_used_ * sizeof(format::UnwindRow);
  rows_used_ += table->rows.size();
  // Odd: filled. Matched by the library's acquire load.
  slot.generation.store(1, std::memory_order_release);
  session_.header().unwind_epoch.fetch_add(1, std::memory_order_acq_rel);
  return rows;
}

void TargetTables::ModuleReady() {
  session_.header().modules_ready.fetch_add(1, std::memory_order_acq_rel);
  Session::Wake(session_.header().modules_ready);
}

TargetTables::Rows TargetTables::AddModule(const format::ModuleRecord& module, const std::string& path) {
  const Rows rows = PublishRows(module, path);
  ModuleReady();
  return rows;
}

void TargetTables::RemoveModule(std::uint64_t load_address) {
  for (std::uint32_t i = 0; i < next_slot_; ++i) {
    format::UnwindModule& slot = session_.unwind_modules()[i];
    if (slot.load_address != load_address || slot.generation.load(std::memory_order_relaxed) % 2 == 0) continue;
    slot.generation.fetch_add(1, std::memory_order_acq_rel);
    session_.header().unwind_epoch.fetch_add(1, std::memory_order_acq_rel);
  }
}

void TargetTables::PrepareExecutable() {
  const std::string path = PathFromHere(session_.facts().executable);
  const absl::StatusOr<ElfFile> executable = ElfFile::Open(path);
  if (!executable.ok()) return;
  build_id_ = executable->build_id();
  runtime_ = FindRuntimeVersion(*executable, cache_directory_);
  if (session_.facts().options.hooks != 0 && session_.hook_map() != nullptr) {
    hooks::CopyToTable(hooks::LoadHookMap(path, cache_directory_), *session_.hook_map());
  }
  if (runtime_.name != "bun" || session_.facts().options.js == format::JsNames::kOff) return;
  auto* shared =
      static_cast<format::JscLayout*>(session_.At(session_.header().jsc_layout_offset, sizeof(format::JscLayout)));
  if (shared == nullptr) return;
  const std::string id =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(build_id_.data()), build_id_.size()));
  // Without a layout JavaScript frames have no names; the library does without.
  if (const auto layout = js::LoadJscLayout(path, id, cache_directory_); layout.ok())
    js::PublishJscLayout(*layout, *shared);
}

}  // namespace leaktrace::record
