#include "analyzer/model/module_table.h"

#include <utility>

namespace leaktrace::model {

using format::FrameKind;

void ModuleTable::Load(Module module) {
  for (Module& other : modules_) {
    const bool overlaps = other.begin < module.end && module.begin < other.end;
    if (overlaps && other.end_frame == UINT32_MAX) other.end_frame = module.first_frame;
  }
  modules_.push_back(std::move(module));
}

void ModuleTable::Unload(std::uint64_t load_address, FrameId first_frame) {
  for (Module& module : modules_) {
    if (module.load_address == load_address && module.end_frame == UINT32_MAX) module.end_frame = first_frame;
  }
}

const Module* ModuleTable::Find(std::uint64_t address, FrameId frame) const {
  const Module* unloaded = nullptr;
  for (auto module = modules_.rbegin(); module != modules_.rend(); ++module) {
    if (address < module->begin || address >= module->end) continue;
    if (frame >= module->first_frame && frame < module->end_frame) return &*module;
    // A frame keeps its first id for the whole session: one that was first seen before a module at its address came
    // (late announcement) still belongs to the only module that was ever there.
    unloaded = &*module;
  }
  return unloaded;
}

const Module* ModuleTable::Find(const StackFrame& frame) const {
  switch (frame.kind) {
    case FrameKind::kNative:
    case FrameKind::kSignal:
    case FrameKind::kJit:
    case FrameKind::kBroken:
      return Find(CodeAddress(frame), frame.id);
    default:
      return nullptr;
  }
}

std::uint64_t CodeAddress(const StackFrame& frame) {
  const bool interrupted = frame.kind == FrameKind::kSignal;
  return interrupted || frame.value == 0 ? frame.value : frame.value - 1;
}

}  // namespace leaktrace::model
