// The functions that a JavaScript, TypeScript or JSX text defines, in their order; found by tokens, without a grammar.
//
// For mapping a function of a transpiled text back to its definition in the original: transpilers keep the functions
// and their order. So what is found in a text need not be right in every corner (a function type of TypeScript may be
// taken for an arrow function), as long as the functions are among it in their order; AlignFunctions copes with the
// rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leaktrace::js {

struct FunctionDefinition {
  std::string name;            // declared or inferred from what it is assigned to; "" = anonymous
  std::size_t parameters = 0;  // offset of its parameter list, or of the parameter of `x => ...`
  std::uint32_t line = 0;      // where that is, from 1
  std::uint32_t column = 0;    // from 1
  std::uint32_t parameter_count = 0;
  std::string body;  // the first identifier of the body: tells functions without a name apart
};

// One byte for each UTF-16 unit of `text`, so that offsets are those that engines count in; what is not ASCII becomes
// 0x80, an identifier character. Malformed input gives something of the right kind.
std::string UnitsOfUtf8(std::string_view text);
std::string UnitsOfLatin1(std::string_view text);
std::string UnitsOfUtf16(std::string_view little_endian);

// In the order in which the function's parameter lists end. Linear in the text; never fails.
std::vector<FunctionDefinition> FindFunctions(std::string_view units);

// For each of `transpiled` the index of its definition in `original`, or npos. Order is kept: the result grows. Exact
// where both have the same sequence of names; otherwise the best common subsequence, and a function that has no
// convincing counterpart has none.
inline constexpr std::size_t kNoFunction = static_cast<std::size_t>(-1);
std::vector<std::size_t> AlignFunctions(const std::vector<FunctionDefinition>& transpiled,
                                        const std::vector<FunctionDefinition>& original);

}  // namespace leaktrace::js
