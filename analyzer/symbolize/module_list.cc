#include "analyzer/symbolize/module_list.h"

#include <utility>

namespace leaktrace::symbolize {

void ModuleList::Add(Module module) {
  if (!module.unloaded) {
    modules_.push_back(std::move(module));
    unloaded_at_.push_back(~0u);
    return;
  }
  for (std::size_t i = modules_.size(); i-- > 0;) {
    if (modules_[i].load_address != module.load_address || unloaded_at_[i] != ~0u) continue;
    // Executables that are not position independent all have load address 0: the range tells them apart where it is
    // known.
    if (module.begin != 0 && modules_[i].begin != module.begin) continue;
    unloaded_at_[i] = module.first_frame;
    return;
  }
}

std::optional<std::size_t> ModuleList::Find(std::uint64_t address, std::uint32_t frame_id) const {
  std::optional<std::size_t> any;
  std::size_t covering = 0;
  for (std::size_t i = modules_.size(); i-- > 0;) {
    if (address < modules_[i].begin || address >= modules_[i].end) continue;
    if (modules_[i].first_frame <= frame_id && frame_id < unloaded_at_[i]) return i;
    any = i;
    ++covering;
  }
  return covering == 1 ? any : std::nullopt;
}

}  // namespace leaktrace::symbolize
