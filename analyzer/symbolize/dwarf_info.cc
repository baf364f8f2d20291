#include "analyzer/symbolize/dwarf_info.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace leaktrace::symbolize {
namespace {

constexpr int kMaxDepth = 128;               // of nested DIEs
constexpr int kMaxOrigins = 8;               // from a DIE to what it is an instance of
constexpr std::size_t kMaxRanges = 1 << 16;  // of one DIE

struct Range {
  std::uint64_t low, high;  // half open
};

// Contiguous and non-contiguous ranges of a DIE. The loop is bounded because damaged lists need not end.
std::vector<Range> RangesOf(Dwarf_Die* die) {
  std::vector<Range> ranges;
  Dwarf_Addr base = 0, low = 0, high = 0;
  ptrdiff_t offset = 0;
  while (ranges.size() < kMaxRanges && (offset = dwarf_ranges(die, offset, &base, &low, &high)) > 0) {
    if (low != 0 && low < high) ranges.push_back({low, high});
  }
  return ranges;
}

// A text attribute of the DIE, or of what it is an instance of; "" if there is none.
std::string TextOf(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(die, name, &attribute) == nullptr) return {};
  const char* text = dwarf_formstring(&attribute);
  return text == nullptr ? "" : text;
}

std::string LinkageName(Dwarf_Die* die) {
  std::string name = TextOf(die, DW_AT_linkage_name);
  return name.empty() ? TextOf(die, DW_AT_MIPS_linkage_name) : name;
}

std::uint32_t NumberOf(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr(die, name, &attribute) == nullptr || dwarf_formudata(&attribute, &value) != 0) return 0;
  return value > 0xffff'ffff ? 0 : static_cast<std::uint32_t>(value);
}

bool MayHoldFunctions(int tag) {
  switch (tag) {
    case DW_TAG_compile_unit:
    case DW_TAG_partial_unit:
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
    case DW_TAG_inlined_subroutine:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
      return true;
    default:
      return false;
  }
}

// The functions of one compilation unit, and those inlined into them, by address.
class UnitScopes {
 public:
  struct Scope {
    Range range;
    int depth;
    Dwarf_Die die;
  };

  explicit UnitScopes(Dwarf_Die unit) {
    Walk(unit, 0, "");
    std::sort(scopes_.begin(), scopes_.end(), [](const Scope& a, const Scope& b) {
      return std::pair(a.range.low, a.depth) < std::pair(b.range.low, b.depth);
    });
    std::uint64_t high = 0;
    for (const Scope& scope : scopes_) {
      high = std::max(high, scope.range.high);
      highest_.push_back(high);
    }
  }

  // Those around an address, innermost first, up to and including the function that is not inlined.
  std::vector<Dwarf_Die> Around(std::uint64_t address) const {
    std::vector<const Scope*> around;
    auto after = std::upper_bound(scopes_.begin(), scopes_.end(), address,
                                  [](std::uint64_t a, const Scope& scope) { return a < scope.range.low; });
    for (auto i = static_cast<std::size_t>(after - scopes_.begin()); i-- > 0 && highest_[i] > address;) {
      if (scopes_[i].range.high > address) around.push_back(&scopes_[i]);
    }
    std::stable_sort(around.begin(), around.end(), [](const Scope* a, const Scope* b) { return a->depth > b->depth; });
    std::vector<Dwarf_Die> dies;
    for (const Scope* scope : around) {
      dies.push_back(scope->die);
      if (dwarf_tag(&dies.back()) == DW_TAG_subprogram) break;
    }
    return dies;
  }

  // Linkage name, or the name with the namespaces and classes around it: functions that are local to a file have no
  // linkage name.
  std::string NameOf(Dwarf_Die die) const {
    if (std::string name = LinkageName(&die); !name.empty()) return name;
    Dwarf_Die at = die;
    for (int step = 0; step < kMaxOrigins; ++step) {
      if (const auto name = qualified_.find(dwarf_dieoffset(&at)); name != qualified_.end()) return name->second;
      Dwarf_Attribute attribute;
      Dwarf_Die origin;
      if (dwarf_attr(&at, DW_AT_abstract_origin, &attribute) == nullptr &&
          dwarf_attr(&at, DW_AT_specification, &attribute) == nullptr)
        break;
      if (dwarf_formref_die(&attribute, &origin) == nullptr) break;
      at = origin;
    }
    return TextOf(&die, DW_AT_name);
  }

 private:
  // The prefix of what is declared inside a DIE.
  static std::string PrefixInside(Dwarf_Die* die, int tag, const std::string& prefix) {
    switch (tag) {
      case DW_TAG_namespace:
      case DW_TAG_module:
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
      case DW_TAG_union_type: {
        const char* name = dwarf_diename(die);
        if (name != nullptr) return prefix + name + "::";
        return tag == DW_TAG_namespace ? prefix + "(anonymous namespace)::" : prefix;
      }
      default:
        return tag == DW_TAG_subprogram ? "" : prefix;
    }
  }

  void Walk(Dwarf_Die parent, int depth, const std::string& prefix) {
    Dwarf_Die die;
    if (depth > kMaxDepth || dwarf_child(&parent, &die) != 0) return;
    while (true) {
      const int tag = dwarf_tag(&die);
      if (tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine) {
        for (const Range& range : RangesOf(&die)) scopes_.push_back({range, depth, die});
      }
      if (tag == DW_TAG_subprogram && !prefix.empty()) {
        const char* name = dwarf_diename(&die);
        if (name != nullptr && LinkageName(&die).empty()) qualified_[dwarf_dieoffset(&die)] = prefix + name;
      }
      if (MayHoldFunctions(tag)) Walk(die, depth + 1, PrefixInside(&die, tag, prefix));
      const Dwarf_Off offset = dwarf_dieoffset(&die);
      Dwarf_Die next;
      // A sibling that is not further on is damage, and would never end.
      if (dwarf_siblingof(&die, &next) != 0 || dwarf_dieoffset(&next) <= offset) return;
      die = next;
    }
  }

  std::vector<Scope> scopes_;                              // by low address
  std::vector<std::uint64_t> highest_;                     // of scopes_[0..i]
  absl::flat_hash_map<Dwarf_Off, std::string> qualified_;  // by DIE: functions without a linkage name
};

struct Unit {
  Dwarf_Die die;
  std::optional<UnitScopes> scopes;  // once asked for
};

struct UnitRange {
  Range range;
  std::size_t unit;
};

}  // namespace

class DwarfInfo::Impl {
 public:
  explicit Impl(int descriptor) : descriptor_(descriptor), dwarf_(dwarf_begin(descriptor, DWARF_C_READ)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (dwarf_ != nullptr) dwarf_end(dwarf_);
    close(descriptor_);
  }

  bool ReadUnits() {
    if (dwarf_ == nullptr) return false;
    Dwarf_CU* unit = nullptr;
    Dwarf_Half version = 0;
    std::uint8_t type = 0;
    Dwarf_Die die, sub_die;
    while (dwarf_get_units(dwarf_, unit, &unit, &version, &type, &die, &sub_die) == 0) {
      if (type != DW_UT_compile && type != DW_UT_partial && type != DW_UT_skeleton) continue;
      for (const Range& range : RangesOf(&die)) ranges_.push_back({range, units_.size()});
      units_.push_back({die, std::nullopt});
    }
    std::sort(ranges_.begin(), ranges_.end(),
              [](const UnitRange& a, const UnitRange& b) { return a.range.low < b.range.low; });
    return !ranges_.empty();
  }

  std::vector<SourceLine> Find(std::uint64_t address) {
    auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                  [](std::uint64_t a, const UnitRange& r) { return a < r.range.low; });
    if (after == ranges_.begin() || address >= (--after)->range.high) return {};
    Unit& unit = units_[after->unit];
    if (!unit.scopes) unit.scopes.emplace(unit.die);

    std::vector<SourceLine> lines;
    SourceLine place;
    if (Dwarf_Line* row = dwarf_getsrc_die(&unit.die, address)) {
      int number = 0;
      if (const char* file = dwarf_linesrc(row, nullptr, nullptr)) place.file = file;
      if (dwarf_lineno(row, &number) == 0 && number > 0) place.line = static_cast<std::uint32_t>(number);
    }
    for (Dwarf_Die& die : unit.scopes->Around(address)) {
      place.function = unit.scopes->NameOf(die);
      place.inlined = dwarf_tag(&die) == DW_TAG_inlined_subroutine;
      lines.push_back(place);
      place = {};
      place.file = FileOf(unit.die, NumberOf(&die, DW_AT_call_file));
      place.line = NumberOf(&die, DW_AT_call_line);
    }
    if (lines.empty() && place.line != 0) lines.push_back(place);
    return lines;
  }

 private:
  static std::string FileOf(Dwarf_Die& unit, std::uint32_t index) {
    Dwarf_Files* files = nullptr;
    std::size_t count = 0;
    if (index == 0 || dwarf_getsrcfiles(&unit, &files, &count) != 0 || index >= count) return {};
    const char* file = dwarf_filesrc(files, index, nullptr, nullptr);
    return file == nullptr ? "" : file;
  }

  int descriptor_;
  Dwarf* dwarf_;
  std::vector<Unit> units_;
  std::vector<UnitRange> ranges_;  // by low address
};

DwarfInfo::DwarfInfo(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DwarfInfo::~DwarfInfo() = default;

std::unique_ptr<DwarfInfo> DwarfInfo::Open(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return nullptr;
  auto impl = std::make_unique<Impl>(descriptor);
  if (!impl->ReadUnits()) return nullptr;
  return std::unique_ptr<DwarfInfo>(new DwarfInfo(std::move(impl)));
}

std::vector<SourceLine> DwarfInfo::Find(std::uint64_t address) { return impl_->Find(address); }

}  // namespace leaktrace::symbolize
