#include "analyzer/hooks/expression.h"

#include <algorithm>

namespace leaktrace::hooks {
namespace {

constexpr int kMaxDepth = 40;

std::int64_t Fold(Operation operation, std::int64_t a, std::int64_t b) {
  const auto ua = static_cast<std::uint64_t>(a), ub = static_cast<std::uint64_t>(b);
  switch (operation) {
    case Operation::kMultiply:
      return static_cast<std::int64_t>(ua * ub);
    case Operation::kAnd:
      return a & b;
    case Operation::kOr:
      return a | b;
    case Operation::kXor:
      return a ^ b;
    case Operation::kShiftLeft:
      return static_cast<std::int64_t>(ua << (ub & 63));
    case Operation::kShiftRight:
      return static_cast<std::int64_t>(ua >> (ub & 63));
    default:
      return static_cast<std::int64_t>(ua + ub);
  }
}

bool IsCommutative(Operation operation) {
  return operation != Operation::kShiftLeft && operation != Operation::kShiftRight && operation != Operation::kOther;
}

bool ContainsAtDepth(const ExpressionPool& pool, ExpressionId whole, ExpressionId part, bool through_loads, int depth) {
  if (whole == part) return true;
  if (whole < 0 || depth >= kMaxDepth) return false;
  const Expression& e = pool[whole];
  if (e.operation == Operation::kLoad && !through_loads) return false;
  return ContainsAtDepth(pool, e.a, part, through_loads, depth + 1) ||
         ContainsAtDepth(pool, e.b, part, through_loads, depth + 1);
}

unsigned ArgumentsAtDepth(const ExpressionPool& pool, ExpressionId whole, int depth) {
  if (whole < 0 || depth >= kMaxDepth) return 0;
  const Expression& e = pool[whole];
  if (e.operation == Operation::kArgument) return 1u << e.value;
  if (e.operation == Operation::kLoad) return 0;
  return ArgumentsAtDepth(pool, e.a, depth + 1) | ArgumentsAtDepth(pool, e.b, depth + 1);
}

}  // namespace

ExpressionId ExpressionPool::Intern(const Expression& expression) {
  const auto [it, inserted] = index_.try_emplace(expression, static_cast<ExpressionId>(expressions_.size()));
  if (inserted) expressions_.push_back(expression);
  return it->second;
}

// Constants gather at the outside: (x + 8) + y is (x + y) + 8, so that the same address has the same number however it
// was computed.
ExpressionId ExpressionPool::Add(ExpressionId a, ExpressionId b) {
  const Based left = Split(a), right = Split(b);
  const auto offset =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(left.offset) + static_cast<std::uint64_t>(right.offset));
  if (left.base < 0 && right.base < 0) return Constant(offset);
  ExpressionId sum = left.base < 0 ? right.base : left.base;
  if (left.base >= 0 && right.base >= 0) {
    sum = Intern({Operation::kAdd, std::min(left.base, right.base), std::max(left.base, right.base), 0});
  }
  if (offset == 0) return sum;
  return Intern({Operation::kAdd, sum, Constant(offset), 0});
}

ExpressionPool::Based ExpressionPool::Split(ExpressionId id) const {
  const Expression& e = (*this)[id];
  if (e.operation == Operation::kConstant) return {-1, e.value};
  if (e.operation == Operation::kAdd && IsConstant(e.b)) return {e.a, (*this)[e.b].value};
  return {id, 0};
}

ExpressionId ExpressionPool::Binary(Operation operation, ExpressionId a, ExpressionId b) {
  if (operation == Operation::kAdd) return Add(a, b);
  if (IsConstant(a) && IsConstant(b)) return Constant(Fold(operation, (*this)[a].value, (*this)[b].value));
  if (a == b && operation == Operation::kXor) return Constant(0);
  if (a == b && (operation == Operation::kAnd || operation == Operation::kOr)) return a;
  if (operation == Operation::kMultiply && IsConstant(b, 1)) return a;
  if (IsCommutative(operation) && a > b && !IsConstant(b)) std::swap(a, b);
  if (IsCommutative(operation) && IsConstant(a)) std::swap(a, b);
  return Intern({operation, a, b, 0});
}

ExpressionId ExpressionPool::Truncate(ExpressionId a, int bits) {
  const Expression& e = (*this)[a];
  if (e.operation == Operation::kConstant) {
    const auto mask = bits >= 64 ? ~0ull : (1ull << bits) - 1;
    return Constant(static_cast<std::int64_t>(static_cast<std::uint64_t>(e.value) & mask));
  }
  if (e.operation == Operation::kTruncate && e.value <= bits) return a;
  if (e.operation == Operation::kLoad && e.value * 8 <= bits) return a;
  return Intern({Operation::kTruncate, a, -1, bits});
}

int ExpressionPool::Argument(ExpressionId id) const {
  while (id >= 0 && (*this)[id].operation == Operation::kTruncate) id = (*this)[id].a;
  if (id < 0 || (*this)[id].operation != Operation::kArgument) return -1;
  return static_cast<int>((*this)[id].value);
}

bool ExpressionPool::Contains(ExpressionId whole, ExpressionId part, bool through_loads) const {
  return ContainsAtDepth(*this, whole, part, through_loads, 0);
}

unsigned ExpressionPool::Arguments(ExpressionId whole) const { return ArgumentsAtDepth(*this, whole, 0); }

}  // namespace leaktrace::hooks
