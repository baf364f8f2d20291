// The pass over everything of a trace but its events, stacks and kinds: program, modules, marks, samples, names,
// counters, end. For one thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/read/trace_reader.h"

namespace leaktrace::model {

class OverviewPass final : public read::TraceVisitor {
 public:
  // Samples beyond these numbers are thinned: every second is dropped, as often as needed.
  static constexpr std::size_t kMaxMemorySamples = 4096;
  static constexpr std::size_t kMaxJsHeapSamples = 2048;
  // Events of the kinds fork, exec and spawn beyond this number are dropped: nothing is computed from them.
  static constexpr std::size_t kMaxMarks = 100'000;

  // `model` is empty and outlives this object.
  explicit OverviewPass(TraceModel& model);

  void OnHeader(format::trace::TraceHeader::Reader header) override;
  void OnModules(format::trace::ModuleList::Reader list) override;
  void OnMarks(format::trace::MarkList::Reader list) override;
  void OnMemory(format::trace::MemorySamples::Reader list) override;
  void OnJsHeap(format::trace::JsHeapSamples::Reader list) override;
  void OnCode(format::trace::CodeNames::Reader code) override;
  void OnCounters(format::trace::Counters::Reader counters) override;
  void OnHookMap(format::trace::HookMap::Reader map) override;
  void OnFooter(format::trace::Footer::Reader footer) override;
  void OnSymbols(format::trace::SymbolTable::Reader table) override;

 private:
  void SawTime(std::uint64_t time, std::uint64_t event);
  std::uint32_t Category(const std::string& name);

  TraceModel& model_;
  absl::flat_hash_map<std::string, std::uint32_t> categories_;
  absl::flat_hash_map<std::uint32_t, std::size_t> threads_;  // by index
  std::size_t memory_step_ = 1, memory_seen_ = 0;
  std::size_t js_heap_step_ = 1, js_heap_seen_ = 0;
};

}  // namespace leaktrace::model
