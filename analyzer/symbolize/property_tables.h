// The static property tables of JavaScriptCore's classes: which native functions serve which property of which class.
// They lie in the read-only data of an executable, stripped or not, because JavaScript objects are made from them at
// run time.
//
// Layouts are those of WebKit's JavaScriptCore/runtime/Lookup.h (HashTableValue, HashTable), ClassInfo.h and
// PropertySlot.h (PropertyAttribute); they are the same in all builds that have ASCIILiteral with a length. They are
// recognised by their structure alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "analyzer/symbolize/code_image.h"
#include "analyzer/symbolize/code_references.h"
#include "analyzer/symbolize/function_extent.h"

namespace leaktrace::symbolize {

enum class PropertyRole : std::uint8_t {
  kFunction,  // called as a method
  kGetter,
  kSetter,
  kLazyValue,  // makes the property's value when it is first read
};

// One native function of one property.
struct PropertyFunction {
  std::uint64_t address = 0;  // of the function
  std::uint64_t entry = 0;    // of the table's entry
  std::string_view property;
  PropertyRole role = PropertyRole::kFunction;
  std::string_view class_name;  // "" where the table's owner cannot be told
};

struct ClassInfo {
  std::string_view name;
  std::uint64_t name_address = 0;    // of the text
  std::uint64_t property_table = 0;  // HashTable, 0 = none
};

// By address of the ClassInfo. The names lie in the image.
absl::btree_map<std::uint64_t, ClassInfo> FindClassInfos(const CodeImage& image);

// All of them; a function may serve several properties. The names lie in the image.
std::vector<PropertyFunction> FindPropertyFunctions(const CodeImage& image, const CodeReferences& references,
                                                    FunctionExtents& extents);

}  // namespace leaktrace::symbolize
