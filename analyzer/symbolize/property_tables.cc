#include "analyzer/symbolize/property_tables.h"

#include <algorithm>
#include <optional>
#include <set>

#include "absl/container/flat_hash_set.h"

namespace leaktrace::symbolize {
namespace {

// PropertyAttribute of PropertySlot.h.
constexpr std::uint32_t kCustomAccessor = 1 << 5, kCustomValue = 1 << 6, kFunctionAttribute = 1 << 8, kBuiltin = 1 << 9,
                        kConstantInteger = 1 << 10, kCellProperty = 1 << 11, kClassStructure = 1 << 12,
                        kPropertyCallback = 1 << 13, kDomJitAttribute = 1 << 15;
// Values that are no functions, or such as make one in JavaScript.
constexpr std::uint32_t kOtherValues = kBuiltin | kConstantInteger | kCellProperty | kClassStructure | kDomJitAttribute;
constexpr std::uint32_t kKnownAttributes = (1 << 18) - 1;
constexpr std::uint32_t kMaxIntrinsic = 1 << 10;

// HashTableValue: name and its length with the NUL, attributes, intrinsic, two values.
constexpr std::uint64_t kEntryBytes = 40;
constexpr std::size_t kMaxName = 96;
constexpr std::uint64_t kMaxArguments = 255;

// ClassInfo: name and its length with the NUL, parent class, property table, then the method table, all function
// pointers.
constexpr std::uint64_t kClassInfoWords = 32;
constexpr std::size_t kMinMethods = 10;
constexpr std::uint64_t kMaxBeforeMethods = 4;  // words between the property table and the first method

// HashTable: count, mask, flag, classForThis, values, index.
constexpr std::uint64_t kTableValues = 24;
constexpr std::uint64_t kTableClass = 16;
constexpr std::uint32_t kMaxTableEntries = 4096;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_$@.:-# ").find(c) != std::string_view::npos;
}

// An ASCIILiteral: a pointer to text and the text's length with its NUL.
std::string_view Literal(const CodeImage& image, std::uint64_t address) {
  const auto text_address = image.Word(address);
  const auto size = image.Word(address + 8);
  if (!text_address || !size || *size < 2 || *size > kMaxName) return {};
  const std::string_view text = image.Text(*text_address, kMaxName);
  if (text.size() + 1 != *size || !std::all_of(text.begin(), text.end(), IsNameCharacter)) return {};
  return text;
}

// Many classes have these names: they do not tell whose property it is.
bool IsGenericClass(std::string_view name) { return name == "Function" || name == "Object"; }

struct Entry {
  std::string_view property;
  std::uint32_t attributes = 0;
  std::uint64_t first = 0, second = 0;
};

std::optional<Entry> ReadEntry(const CodeImage& image, std::uint64_t address) {
  Entry entry;
  const auto attributes = image.HalfWord(address + 16);
  const auto intrinsic = image.HalfWord(address + 20);
  const auto first = image.Word(address + 24);
  const auto second = image.Word(address + 32);
  if (!attributes || !intrinsic || !first || !second) return std::nullopt;
  if ((*attributes & ~kKnownAttributes) != 0 || *intrinsic > kMaxIntrinsic) return std::nullopt;
  entry = {Literal(image, address), *attributes, *first, *second};
  if (entry.property.empty()) return std::nullopt;
  const auto code_or_none = [&](std::uint64_t value) { return value == 0 || image.IsCode(value); };
  if ((entry.attributes & kFunctionAttribute) != 0) {
    // The second value is the number of parameters, or a signature for compiled calls.
    const bool known = entry.second <= kMaxArguments || image.Word(entry.second).has_value();
    return image.IsCode(entry.first) && known ? std::optional(entry) : std::nullopt;
  }
  if ((entry.attributes & kPropertyCallback) != 0)
    return image.IsCode(entry.first) ? std::optional(entry) : std::nullopt;
  if ((entry.attributes & kOtherValues) != 0) return entry;
  // `constructor` of the classes of the DOM has no attribute that says what its value is.
  if ((entry.attributes & (kCustomAccessor | kCustomValue)) == 0 && entry.property != "constructor")
    return std::nullopt;
  if (!code_or_none(entry.first) || !code_or_none(entry.second) || (entry.first | entry.second) == 0)
    return std::nullopt;
  return entry;
}

void AddFunctions(const Entry& entry, std::uint64_t address, std::vector<PropertyFunction>& functions) {
  const auto add = [&](std::uint64_t function, PropertyRole role) {
    functions.push_back({function, address, entry.property, role, {}});
  };
  if ((entry.attributes & kFunctionAttribute) != 0) {
    // Of a function in JavaScript the first value is what makes its code.
    if ((entry.attributes & kBuiltin) == 0) add(entry.first, PropertyRole::kFunction);
  } else if ((entry.attributes & kPropertyCallback) != 0) {
    add(entry.first, PropertyRole::kLazyValue);
  } else if ((entry.attributes & kOtherValues) == 0) {
    if (entry.first != 0) add(entry.first, PropertyRole::kGetter);
    if (entry.second != 0) add(entry.second, PropertyRole::kSetter);
  }
}

// Addresses of the data, eight by eight, up to `words` before its end.
template <typename Visit>
void ForEachWord(const CodeImage& image, Visit visit) {
  for (const CodeImage::Region& region : image.data()) {
    std::uint64_t address = (region.address + 7) & ~7ull;
    while (address + 8 <= region.end()) address = visit(address);
  }
}

// Which class a table belongs to, by the address of its first entry. A table that is walked when a prototype is made is
// loaded by the same function as the ClassInfo of its class; one that is looked up later hangs on the ClassInfo.
class Owners {
 public:
  Owners(const CodeImage& image, const CodeReferences& references, FunctionExtents& extents,
         const std::vector<std::uint64_t>& entries)
      : classes_(FindClassInfos(image)) {
    FromHashTables(image, references, entries);
    FromCode(references, extents, entries);
  }

  // Of the table that an entry is in; entries of a table follow each other. "" where the class is not known, null where
  // nothing refers to such a table, so that there is none.
  std::optional<std::string_view> Of(std::uint64_t entry, std::uint64_t run_begin) const {
    auto table = by_table_.upper_bound(entry);
    if (table == by_table_.begin() || (--table)->first < run_begin) return std::nullopt;
    return table->second;
  }

 private:
  void FromHashTables(const CodeImage& image, const CodeReferences& references,
                      const std::vector<std::uint64_t>& entries) {
    absl::flat_hash_map<std::uint64_t, std::string_view> names;
    for (const auto& [address, info] : classes_) {
      if (info.property_table != 0) names[info.property_table] = info.name;
    }
    for (const auto& [entry, places] : references.PointersTo(entries)) {
      std::string_view& owner = by_table_[entry];
      for (const std::uint64_t place : places) {
        const std::uint64_t table = place - kTableValues;
        const auto count = image.HalfWord(table);
        if (!count || *count == 0 || *count > kMaxTableEntries) continue;
        if (const auto name = names.find(table); name != names.end() && !IsGenericClass(name->second))
          owner = name->second;
        const auto checked_class = classes_.find(image.Word(table + kTableClass).value_or(0));
        if (owner.empty() && checked_class != classes_.end() && !IsGenericClass(checked_class->second.name))
          owner = checked_class->second.name;
      }
    }
  }

  void FromCode(const CodeReferences& references, FunctionExtents& extents, const std::vector<std::uint64_t>& entries) {
    std::vector<std::uint64_t> targets = entries;
    for (const auto& [address, info] : classes_) {
      targets.push_back(address);
      if (!IsGenericClass(info.name)) {
        targets.push_back(info.name_address);
        name_addresses_[info.name_address] = info.name;
      }
    }
    const std::vector<CodeReferences::Reference> found = references.OperandsOf(targets);
    for (const CodeReferences::Reference& reference : found) {
      if (classes_.contains(reference.target) || name_addresses_.contains(reference.target)) continue;
      const FunctionExtent* function = extents.WithOperand(reference.site);
      if (function == nullptr) continue;
      std::string_view& owner = by_table_[reference.target];
      if (owner.empty()) owner = ClassIn(found, *function, reference.site, extents);
    }
  }

  // The class whose ClassInfo a function loads; where it loads several, the one that is an argument of the same call as
  // the table. Constructors share a class name, but give their own to what they make: there the only name that the
  // function loads.
  std::string_view ClassIn(const std::vector<CodeReferences::Reference>& found, const FunctionExtent& function,
                           std::uint64_t site, FunctionExtents& extents) const {
    constexpr std::uint64_t kSameCall = 24;  // bytes
    std::set<std::string_view> all, near, literals;
    auto reference =
        std::lower_bound(found.begin(), found.end(), function.begin,
                         [](const CodeReferences::Reference& r, std::uint64_t begin) { return r.site < begin; });
    for (; reference != found.end() && reference->site < function.end; ++reference) {
      const auto info = classes_.find(reference->target);
      const auto literal = name_addresses_.find(reference->target);
      if (info == classes_.end() && literal == name_addresses_.end()) continue;
      if (extents.WithOperand(reference->site) == nullptr) continue;
      if (literal != name_addresses_.end()) literals.insert(literal->second);
      if (info == classes_.end()) continue;
      all.insert(info->second.name);
      if (reference->site + kSameCall > site && site + kSameCall > reference->site) near.insert(info->second.name);
    }
    const std::set<std::string_view>& classes = all.size() == 1 ? all : near;
    if (classes.size() != 1) return {};
    if (!IsGenericClass(*classes.begin())) return *classes.begin();
    return literals.size() == 1 ? *literals.begin() : std::string_view();
  }

  const absl::btree_map<std::uint64_t, ClassInfo> classes_;
  absl::flat_hash_map<std::uint64_t, std::string_view> name_addresses_;  // of the texts of classes' names
  absl::btree_map<std::uint64_t, std::string_view> by_table_;  // "" = a table begins there, its class is not known
};

}  // namespace

absl::btree_map<std::uint64_t, ClassInfo> FindClassInfos(const CodeImage& image) {
  absl::btree_map<std::uint64_t, ClassInfo> found;
  absl::flat_hash_map<std::uint64_t, std::uint64_t> parents;
  ForEachWord(image, [&](std::uint64_t address) {
    const std::string_view name = Literal(image, address);
    const auto parent = image.Word(address + 16);
    const auto table = image.Word(address + 24);
    if (name.empty() || !parent || !table || image.IsCode(*parent) || image.IsCode(*table)) return address + 8;
    if (*table != 0 && !image.Word(*table)) return address + 8;
    std::size_t methods = 0;
    for (std::uint64_t word = 4; word < kClassInfoWords && methods < kMinMethods; ++word) {
      methods = image.IsCode(image.Word(address + 8 * word).value_or(0)) ? methods + 1 : 0;
      if (methods == 0 && word >= 4 + kMaxBeforeMethods) break;
    }
    if (methods < kMinMethods) return address + 8;
    found[address] = {name, *image.Word(address), *table};
    parents[address] = *parent;
    return address + 8;
  });
  // What has a parent that is none is no class.
  for (const auto& [address, parent] : parents) {
    if (parent != 0 && !parents.contains(parent)) found.erase(address);
  }
  return found;
}

std::vector<PropertyFunction> FindPropertyFunctions(const CodeImage& image, const CodeReferences& references,
                                                    FunctionExtents& extents) {
  std::vector<PropertyFunction> functions;
  std::vector<std::uint64_t> entries;
  absl::flat_hash_map<std::uint64_t, std::uint64_t> run_begins;
  std::uint64_t run_begin = 0, run_end = 0;
  ForEachWord(image, [&](std::uint64_t address) {
    const auto entry = ReadEntry(image, address);
    if (!entry) return address + 8;
    if (address != run_end) run_begin = address;
    run_end = address + kEntryBytes;
    run_begins[address] = run_begin;
    entries.push_back(address);
    AddFunctions(*entry, address, functions);
    return run_end;
  });
  const Owners owners(image, references, extents, entries);
  std::erase_if(functions, [&](PropertyFunction& function) {
    const std::optional<std::string_view> owner = owners.Of(function.entry, run_begins[function.entry]);
    function.class_name = owner.value_or("");
    return !owner.has_value();
  });
  return functions;
}

}  // namespace leaktrace::symbolize
