// Values of registers and memory as a function sees them, in terms of its arguments: the terms in which the interpreter
// says what a function does. Expressions are shared and numbered, so that equal expressions have equal numbers.
//
// Not thread-safe: one pool belongs to one discovery.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace leaktrace::hooks {

using ExpressionId = std::int32_t;

enum class Operation : std::uint8_t {
  kUnknown,        // value: tells one unknown from another
  kArgument,       // value: 0..5, in the order of the System V ABI
  kConstant,       // value
  kThreadPointer,  // fs base
  kStack,          // rsp at the function's entry
  kCall,           // value: the result of the call at this address
  kLoad,           // a = address, value = bytes
  kAdd,
  kMultiply,
  kAnd,
  kOr,
  kXor,
  kShiftLeft,
  kShiftRight,
  kTruncate,  // a, value = bits that are kept
  kOther,     // some function of a and b
};

struct Expression {
  Operation operation;
  ExpressionId a = -1, b = -1;
  std::int64_t value = 0;
  friend bool operator==(const Expression&, const Expression&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const Expression& e) {
    return H::combine(std::move(hash), e.operation, e.a, e.b, e.value);
  }
};

class ExpressionPool {
 public:
  [[nodiscard]] const Expression& operator[](ExpressionId id) const {
    return expressions_[static_cast<std::size_t>(id)];
  }

  ExpressionId Leaf(Operation operation, std::int64_t value) { return Intern({operation, -1, -1, value}); }
  ExpressionId Constant(std::int64_t value) { return Leaf(Operation::kConstant, value); }
  ExpressionId Load(ExpressionId address, int bytes) { return Intern({Operation::kLoad, address, -1, bytes}); }
  ExpressionId Add(ExpressionId a, ExpressionId b);
  ExpressionId AddConstant(ExpressionId a, std::int64_t value) { return Add(a, Constant(value)); }
  ExpressionId Binary(Operation operation, ExpressionId a, ExpressionId b);
  ExpressionId Truncate(ExpressionId a, int bits);
  ExpressionId Other(ExpressionId a, ExpressionId b) { return Intern({Operation::kOther, a, b, 0}); }

  [[nodiscard]] bool IsConstant(ExpressionId id, std::int64_t value) const {
    return id >= 0 && (*this)[id].operation == Operation::kConstant && (*this)[id].value == value;
  }
  [[nodiscard]] bool IsConstant(ExpressionId id) const {
    return id >= 0 && (*this)[id].operation == Operation::kConstant;
  }
  // The number of the argument that `id` is, through truncations; -1 where it is none.
  [[nodiscard]] int Argument(ExpressionId id) const;
  // id = base + offset, the offset constant (0 where there is none).
  struct Based {
    ExpressionId base;
    std::int64_t offset;
  };
  [[nodiscard]] Based Split(ExpressionId id) const;
  // a - b where that is a constant.
  [[nodiscard]] std::optional<std::int64_t> Difference(ExpressionId a, ExpressionId b) const {
    const Based left = Split(a), right = Split(b);
    if (left.base != right.base) return std::nullopt;
    return left.offset - right.offset;
  }

  // Whether `part` occurs in `whole`, loads included or not. Bounded: expressions deeper than 40 are cut off.
  [[nodiscard]] bool Contains(ExpressionId whole, ExpressionId part, bool through_loads) const;
  // Bits of the arguments that occur in `whole` outside of loads.
  [[nodiscard]] unsigned Arguments(ExpressionId whole) const;

 private:
  ExpressionId Intern(const Expression& expression);
  std::vector<Expression> expressions_;
  absl::flat_hash_map<Expression, ExpressionId> index_;
};

}  // namespace leaktrace::hooks
