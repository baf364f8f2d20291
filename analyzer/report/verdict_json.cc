#include "analyzer/report/verdict_json.h"

#include <cmath>
#include <optional>

#include "analyzer/report/json.h"

namespace leaktrace::report {
namespace {

using Json = nlohmann::ordered_json;
using leak::Unit;

Json WholeBytes(const std::optional<double>& bytes) {
  return bytes.has_value() ? Json(std::llround(*bytes)) : Json(nullptr);
}

Json PerRequest(const std::optional<double>& rate, Unit unit) {
  return rate.has_value() && unit != Unit::kSecond ? Json(*rate) : Json(nullptr);
}

Json PerSecond(const std::optional<double>& rate, Unit unit) {
  return rate.has_value() && unit == Unit::kSecond ? Json(*rate) : Json(nullptr);
}

const char* OwnerName(leak::Owner owner) {
  switch (owner) {
    case leak::Owner::kNative:
      return "native";
    case leak::Owner::kJsObject:
      return "javascript object";
    case leak::Owner::kJsEngine:
      return "javascript engine";
  }
  return "";
}

Json GrowthJson(const leak::Growth& growth) {
  const double other = growth.stacks.value_or(0) + growth.files.value_or(0) + growth.tracer.value_or(0);
  return {{"rss", WholeBytes(growth.rss)},
          {"native_live", WholeBytes(growth.native_live)},
          {"js_heap", WholeBytes(growth.js_heap)},
          {"allocator", WholeBytes(growth.allocator)},
          {"mappings", WholeBytes(growth.mappings)},
          {"other", growth.rss.has_value() ? WholeBytes(other) : Json(nullptr)},
          {"unexplained", WholeBytes(growth.unexplained)},
          {"stacks", WholeBytes(growth.stacks)},
          {"files", WholeBytes(growth.files)},
          {"tracer", WholeBytes(growth.tracer)},
          {"native_requested", std::llround(growth.native_requested)},
          {"external", WholeBytes(growth.external)},
          {"js_heap_used", WholeBytes(growth.js_heap_used)},
          {"explanation", leak::Explain(growth)}};
}

}  // namespace

Json VerdictJson(const Judgement& judgement) {
  const leak::Verdict& verdict = judgement.verdict;
  return {{"kind", leak::KindName(verdict.kind)},
          {"summary", verdict.summary},
          {"bytes_per_request", PerRequest(verdict.bytes_per_unit, verdict.unit)},
          {"bytes_per_second", PerSecond(verdict.bytes_per_unit, verdict.unit)},
          {"per", {{"unit", leak::UnitName(verdict.unit)}, {"count", verdict.units}}},
          {"owned_by_javascript", verdict.owned_by_js},
          {"growth", GrowthJson(verdict.growth)},
          {"survived", {{"bytes", judgement.survived.bytes}, {"blocks", judgement.survived.blocks}}},
          {"next", verdict.next},
          {"notes", verdict.notes}};
}

Json SuspectsJson(const model::TraceModel& model, const Names& names, const Judgement& judgement, std::size_t top,
                  std::size_t depth) {
  Json list = Json::array();
  for (const NamedSuspect& named : judgement.suspects) {
    if (top != 0 && list.size() == top) break;
    const leak::Suspect& suspect = named.suspect;
    const leak::Evidence& evidence = suspect.evidence;
    list.push_back({{"class", leak::ClassName(evidence.kind)},
                    {"severity", leak::SeverityName(suspect.severity)},
                    {"share", suspect.share},
                    {"bytes_per_request", PerRequest(evidence.bytes_per_unit, evidence.unit)},
                    {"blocks_per_request", PerRequest(evidence.blocks_per_unit, evidence.unit)},
                    {"bytes_per_second", PerSecond(evidence.bytes_per_unit, evidence.unit)},
                    {"blocks_per_second", PerSecond(evidence.blocks_per_unit, evidence.unit)},
                    {"confidence", evidence.confidence},
                    {"reason", evidence.reason},
                    {"owner", OwnerName(suspect.owner)},
                    {"memory", suspect.memory == leak::Memory::kHeap ? "heap" : "mapping"},
                    {"growth_bytes", std::llround(evidence.growth_bytes)},
                    {"growth_blocks", std::llround(evidence.growth_blocks)},
                    {"interval", {evidence.bytes_low, evidence.bytes_high}},
                    {"fit", evidence.fit},
                    {"flattening", evidence.flattening},
                    {"onset", evidence.onset},
                    {"stacks", named.site.stacks},
                    {"site", SiteJson(model, names, named.site, depth)}});
  }
  return list;
}

}  // namespace leaktrace::report
