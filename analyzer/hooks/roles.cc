#include "analyzer/hooks/roles.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace leaktrace::hooks {
namespace {

using format::HookRole;

// mimalloc v3 counts used blocks and allocations in two 16-bit halves of one word.
constexpr std::int64_t kDoubleCount = 0x10001;
constexpr std::int64_t kWord = 8;
constexpr std::size_t kMaxFreeCalls = 3;  // of a function that does nothing but free

int OnlyBit(unsigned bits) { return std::popcount(bits) == 1 ? std::countr_zero(bits) : -1; }

}  // namespace

namespace {

// Whether the path counts the list's page up or down.
bool Counts(const ExpressionPool& pool, const Path& path, const ListOperation& list, const PageShape& shape) {
  return std::any_of(path.counts.begin(), path.counts.end(), [&](const CountUpdate& count) {
    const bool right = list.push ? count.delta == -1 : count.delta == 1 || count.delta == kDoubleCount;
    return right && pool.Difference(count.count, list.list) == shape.used_offset - list.offset;
  });
}

}  // namespace

bool IsPop(const ExpressionPool& pool, const ListOperation& list, const Path& path, const PageShape& shape) {
  return !list.push && list.offset == shape.free_offset && Counts(pool, path, list, shape);
}

bool IsPush(const ExpressionPool& pool, const ListOperation& list, const Path& path, const PageShape& shape) {
  return list.push && list.offset == shape.local_free_offset && Counts(pool, path, list, shape);
}

struct RoleInference::Facts {
  std::vector<ExpressionId> sizes;
  unsigned tested = 0, heaps = 0, alignments = 0, outs = 0, freed = 0, reallocated = 0;
  bool allocates = false, other_size = false, zeroes = false, adjusts = false, frees_on_failure = false;
  bool pops = false, pushes = false;
};

// mimalloc finds the page for a small size in heap->pages_free_direct[(size + 7) / 8].
RoleInference::PageOrigin RoleInference::OriginOf(ExpressionId page) const {
  if (pool_[page].operation != Operation::kLoad) return {};
  PageOrigin origin;
  const auto round = [&](ExpressionId part) -> ExpressionId {
    // (size + 7) & -8, or ((size + 7) >> 3) * 8
    ExpressionId inner = part;
    for (int depth = 0; depth < 4; ++depth) {
      const Expression& e = pool_[inner];
      const bool step = (e.operation == Operation::kMultiply && pool_.IsConstant(e.b, 8)) ||
                        (e.operation == Operation::kShiftLeft && pool_.IsConstant(e.b, 3)) ||
                        e.operation == Operation::kTruncate;
      if (step) {
        inner = e.a;
        continue;
      }
      const bool rounds = (e.operation == Operation::kShiftRight && pool_.IsConstant(e.b, 3)) ||
                          (e.operation == Operation::kAnd && pool_.IsConstant(e.b) && (pool_[e.b].value & 15) == 8);
      if (!rounds || pool_.Split(e.a).base < 0) return -1;
      return pool_.AddConstant(e.a, 1 - kWord);
    }
    return -1;
  };
  const ExpressionId address = pool_.Split(pool_[page].a).base;
  if (address < 0) return {};
  const Expression& sum = pool_[address];
  if (sum.operation != Operation::kAdd) return {};
  for (const auto& [index, base] : {std::pair{sum.a, sum.b}, std::pair{sum.b, sum.a}}) {
    if (const ExpressionId size = round(index); size >= 0) origin = {size, base};
  }
  return origin;
}

// A heap is an argument, or what a function returned that was given it (mimalloc v3 looks up a heap's part of this
// thread).
void RoleInference::AddHeap(ExpressionId heap, const Path& path, Facts& facts) const {
  if (heap < 0) return;
  if (const int argument = pool_.Argument(heap); argument >= 0) {
    facts.heaps |= 1u << argument;
    return;
  }
  for (const CallEvent& call : path.calls) {
    if (call.result != heap) continue;
    if (const int argument = pool_.Argument(call.arguments[0]); argument >= 0) facts.heaps |= 1u << argument;
  }
}

void RoleInference::AddSource(const CallEvent& call, const Role& callee, Facts& facts) const {
  const auto argument = [&](int number) { return call.arguments[static_cast<std::size_t>(number)]; };
  facts.allocates = true;
  facts.zeroes |= callee.zeroes;
  facts.adjusts |= callee.adjusts;
  if (callee.size >= 0) {
    ExpressionId size = argument(callee.size);
    if (callee.count >= 0) size = pool_.Binary(Operation::kMultiply, size, argument(callee.count));
    facts.sizes.push_back(size);
  } else {
    facts.other_size = true;
  }
  if (callee.alignment >= 0) {
    if (const int number = pool_.Argument(argument(callee.alignment)); number >= 0) facts.alignments |= 1u << number;
  }
}

// Whether the block is filled with zeroes to its page's block size.
bool RoleInference::Zeroes(const Path& path, ExpressionId block) const {
  if (std::find(path.filled.begin(), path.filled.end(), block) != path.filled.end()) return true;
  return std::any_of(path.calls.begin(), path.calls.end(), [&](const CallEvent& call) {
    return call.arguments[0] == block && pool_.IsConstant(call.arguments[1], 0) &&
           pool_[call.arguments[2]].operation != Operation::kConstant;
  });
}

void RoleInference::Gather(const Path& path, const RoleMap& roles, Facts& facts) const {
  if (!path.returns) return;
  const auto is_result = [&](ExpressionId result, ExpressionId value) { return pool_.Contains(result, value, false); };
  // memset and memcpy return their first argument, and compilers return that result for the block.
  ExpressionId result = path.result;
  for (const CallEvent& call : path.calls) {
    if (call.result == result && !roles.contains(call.target)) result = call.arguments[0];
  }
  const auto hands_out = [&](ExpressionId value) {
    return is_result(path.result, value) || is_result(result, value) ||
           std::any_of(path.outs.begin(), path.outs.end(),
                       [&](const OutStore& out) { return is_result(out.value, value); });
  };
  const auto note_out = [&](ExpressionId value) {
    for (const ExpressionId returned : {path.result, result}) {
      if (!is_result(returned, value)) continue;
      facts.adjusts |= returned != value;
      return;
    }
    for (const OutStore& out : path.outs) {
      if (is_result(out.value, value)) facts.outs |= 1u << out.argument;
    }
  };
  bool hands_block = false;
  for (const ListOperation& list : path.lists) {
    if (IsPush(pool_, list, path, shape_)) {
      facts.pushes = true;
      if (const int argument = pool_.Argument(list.block); argument >= 0) facts.freed |= 1u << argument;
    }
    if (!IsPop(pool_, list, path, shape_)) continue;
    facts.pops = true;
    if (!hands_out(list.block)) continue;
    hands_block = facts.allocates = true;
    facts.tested |= path.tested_arguments;
    note_out(list.block);
    facts.zeroes |= Zeroes(path, list.block);
    const PageOrigin origin = OriginOf(list.page);
    if (origin.size >= 0) {
      facts.sizes.push_back(origin.size);
    } else if (pool_.Argument(list.page) < 0) {
      facts.other_size = true;
    }
    AddHeap(origin.heap, path, facts);
  }
  unsigned resized = 0;
  for (const CallEvent& call : path.calls) {
    const auto it = roles.find(call.target);
    if (it == roles.end()) continue;
    const Role& callee = it->second;
    if (callee.pointer >= 0) {
      const int argument = pool_.Argument(call.arguments[static_cast<std::size_t>(callee.pointer)]);
      if (argument >= 0 && callee.role == HookRole::kFree) {
        facts.freed |= 1u << argument;
        facts.frees_on_failure |= (resized >> argument & 1) != 0;
      } else if (argument >= 0 && callee.role == HookRole::kReallocate) {
        facts.reallocated |= 1u << argument;
        resized |= 1u << argument;
      }
    }
    if (!callee.Allocates() || callee.role == HookRole::kPosixMemalign || !hands_out(call.result)) continue;
    hands_block = true;
    note_out(call.result);
    AddSource(call, callee, facts);
    if (callee.heap >= 0) AddHeap(call.arguments[static_cast<std::size_t>(callee.heap)], path, facts);
  }
  if (hands_block) facts.alignments |= path.alignment_arguments;
}

// Which argument is the size: the one that every path agrees on.
bool RoleInference::Reduce(const Facts& facts, Role& role) const {
  unsigned plain = 0, derived = 0, factors = 0;
  for (const ExpressionId size : facts.sizes) {
    const Expression& e = pool_[size];
    if (const int argument = pool_.Argument(size); argument >= 0) {
      plain |= 1u << argument;
    } else if (e.operation == Operation::kMultiply && pool_.Argument(e.a) >= 0 && pool_.Argument(e.b) >= 0) {
      factors |= 1u << pool_.Argument(e.a) | 1u << pool_.Argument(e.b);
    } else if (pool_.Arguments(size) != 0) {
      derived |= pool_.Arguments(size);
    } else if (!pool_.IsConstant(size) || facts.sizes.size() == 1) {
      return false;
    }
  }
  if (std::popcount(factors) == 2 && (plain & ~factors) == 0) {
    // calloc(count, size) is the order of every API; a path that skips the product when the count is one tells the size
    // apart.
    role.count = std::countr_zero(factors);
    role.size = 31 - std::countl_zero(factors);
    return true;
  }
  if (factors != 0) return false;
  role.size = OnlyBit(plain);
  if (role.size < 0 && plain == 0) role.size = OnlyBit(derived & ~facts.alignments);
  return role.size >= 0;
}

Role RoleInference::FromBody(const FunctionSummary& summary, const RoleMap& roles) const {
  Facts facts;
  std::size_t most_calls = 0;
  bool checks_thread = false, calls_before_push = false;
  for (const Path& path : summary.paths) {
    Gather(path, roles, facts);
    most_calls = std::max(most_calls, path.calls.size());
    for (const ListOperation& list : path.lists) {
      if (!IsPush(pool_, list, path, shape_)) continue;
      checks_thread |= path.reads_thread;
      calls_before_push |= std::any_of(path.calls.begin(), path.calls.end(), [&](const CallEvent& call) {
        return call.address < list.address && !call.tail;
      });
    }
  }
  Role role;
  if (!facts.allocates) {
    // A free asks whose page it is. What pushes without that puts back blocks that were freed before, or serves a free.
    const bool frees =
        facts.pushes && !facts.pops && checks_thread && !calls_before_push && most_calls <= kMaxFreeCalls;
    role.pointer = OnlyBit(facts.freed);
    if (!frees || role.pointer < 0) return {};
    role.role = HookRole::kFree;
    role.evidence = absl::StrFormat(
        "pushes its argument %d on its page's list (+%#x) and counts down (+%#x), after asking whose page it is",
        role.pointer, static_cast<std::uint64_t>(shape_.local_free_offset),
        static_cast<std::uint64_t>(shape_.used_offset));
    return role;
  }
  if (facts.other_size || !Reduce(facts, role)) return {};
  role.adjusts = facts.adjusts;
  role.heap = OnlyBit(facts.heaps & ~(1u << role.size));
  role.alignment = OnlyBit(facts.alignments & ~(1u << role.size) & ~(role.heap >= 0 ? 1u << role.heap : 0u));
  const unsigned moved = facts.reallocated | facts.freed;
  role.pointer = OnlyBit(moved);
  role.out = OnlyBit(facts.outs);
  role.role = role.pointer >= 0 ? HookRole::kReallocate
              : role.out >= 0   ? HookRole::kPosixMemalign
                                : HookRole::kAllocate;
  if (role.role != HookRole::kPosixMemalign) role.out = -1;
  role.frees_on_failure = role.role == HookRole::kReallocate && facts.frees_on_failure;
  // A further argument that is asked for tells whether to zero.
  unsigned others = facts.tested;
  for (const int argument : {role.size, role.count, role.alignment, role.pointer, role.heap, role.out}) {
    if (argument >= 0) others &= ~(1u << argument);
  }
  role.zeroes = facts.zeroes && others == 0 && role.role == HookRole::kAllocate;
  role.evidence = facts.pops ? absl::StrFormat("pops a block from a page's list (+%#x) and counts it (+%#x)",
                                               static_cast<std::uint64_t>(shape_.free_offset),
                                               static_cast<std::uint64_t>(shape_.used_offset))
                             : "returns what an allocating function gives it";
  absl::StrAppend(&role.evidence, ", size from argument ", role.size);
  return role;
}

Role RoleInference::FromCaller(const FunctionSummary& caller, const Role& role, std::uint64_t callee,
                               const RoleMap& roles) const {
  Role derived;
  if (role.size < 0 && role.pointer < 0) return derived;
  // Which values the caller has for the size and the heap, by its own pops.
  std::vector<ExpressionId> sizes, heaps;
  if (role.size >= 0) sizes.push_back(pool_.Leaf(Operation::kArgument, role.size));
  if (role.heap >= 0) heaps.push_back(pool_.Leaf(Operation::kArgument, role.heap));
  for (const Path& path : caller.paths) {
    for (const ListOperation& list : path.lists) {
      if (!IsPop(pool_, list, path, shape_)) continue;
      const PageOrigin origin = OriginOf(list.page);
      if (origin.size >= 0) sizes.push_back(origin.size);
      if (origin.heap >= 0) heaps.push_back(origin.heap);
    }
  }
  const auto position = [](const CallEvent& call, const std::vector<ExpressionId>& values) {
    for (int i = 0; i < kArgumentRegisters; ++i) {
      if (std::find(values.begin(), values.end(), call.arguments[static_cast<std::size_t>(i)]) != values.end())
        return i;
    }
    return -1;
  };
  for (const Path& path : caller.paths) {
    for (const CallEvent& call : path.calls) {
      if (call.target != callee || roles.contains(callee)) continue;
      if (role.role == HookRole::kFree) {
        const bool pushed =
            std::any_of(path.lists.begin(), path.lists.end(), [&](const ListOperation& list) { return list.push; });
        const int pointer = position(call, {pool_.Leaf(Operation::kArgument, role.pointer)});
        if (!call.tail || pushed || path.exchanges || pointer < 0) continue;
        derived.role = HookRole::kFree;
        derived.pointer = pointer;
        derived.evidence = absl::StrFormat("the slow path of the free at %#x, which passes its pointer as argument %d",
                                           caller.begin, pointer);
        return derived;
      }
      if (path.result != call.result && !pool_.Contains(path.result, call.result, false)) continue;
      const int size = position(call, sizes);
      if (size < 0 || role.role == HookRole::kReallocate) continue;
      derived.role = HookRole::kAllocate;
      derived.size = size;
      derived.heap = position(call, heaps);
      if (derived.heap == size) derived.heap = -1;
      derived.evidence = absl::StrFormat(
          "the slow path of the function at %#x, which passes the size as argument %d and returns its result",
          caller.begin, size);
      return derived;
    }
  }
  return derived;
}

}  // namespace leaktrace::hooks
