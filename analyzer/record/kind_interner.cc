#include "analyzer/record/kind_interner.h"

namespace leaktrace::record {

using trace::KindAttributes;

KindInterner::Site& KindInterner::FindSite(std::uint32_t stack, KindKey key) {
  const std::uint64_t site_key = std::uint64_t{stack} << 24 | key.attributes();
  const auto [entry, inserted] = sites_by_key_.try_emplace(site_key, static_cast<std::uint32_t>(sites_.size()));
  if (inserted) sites_.emplace_back();
  return sites_[entry->second];
}

InternedKind KindInterner::Intern(std::uint32_t stack, KindKey key) {
  Site& site = FindSite(stack, key);
  if (site.varying_kind != 0) return {site.varying_kind, true};
  for (std::uint32_t i = 0; i < site.count; ++i) {
    if (site.sizes[i] == key.size()) return {site.kinds[i], false};
  }
  if (site.count == kSizesPerSite) return {InternVarying(stack, key), true};
  const std::uint32_t id =
      encoder_.Add({.stack = stack, .size = key.size(), .attributes = key.Unpack(0), .route = key.route()});
  site.sizes[site.count] = key.size();
  site.kinds[site.count] = id;
  ++site.count;
  return {id, false};
}

std::uint32_t KindInterner::InternVarying(std::uint32_t stack, KindKey key) {
  Site& site = FindSite(stack, key);
  if (site.varying_kind == 0) {
    site.varying_kind = encoder_.Add(
        {.stack = stack, .size = 0, .attributes = key.Unpack(KindAttributes::kSizeVaries), .route = key.route()});
  }
  return site.varying_kind;
}

}  // namespace leaktrace::record
