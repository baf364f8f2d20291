// The functions that end a whole heap of mimalloc, whose blocks then are gone without any free: mi_heap_destroy, and
// its safe sibling mi_heap_delete, which hands the blocks to another heap.
//
// Both end by freeing the heap itself, which is their first argument, and both are at home among the allocator's inner
// functions, which nothing but the allocator calls. A destroy gives pages back, as the free of a page's last block
// does.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "analyzer/hooks/code_scan.h"
#include "analyzer/hooks/function_finder.h"
#include "analyzer/hooks/interpreter.h"
#include "analyzer/hooks/roles.h"

namespace leaktrace::hooks {

class HeapFunctions {
 public:
  HeapFunctions(const Image& image, const CodeScan& scan, const FunctionFinder& finder, Interpreter& interpreter,
                ExpressionPool& pool, const PageShape& shape)
      : image_(image), scan_(scan), finder_(finder), interpreter_(interpreter), pool_(pool), shape_(shape) {}

  // The heap functions of the allocator whose entries are `roles`, as roles kHeapDestroy and kHeapDelete.
  // `members`: functions with list operations of their own.
  RoleMap Find(const RoleMap& roles, const absl::flat_hash_set<std::uint64_t>& members);

 private:
  using AddressSet = absl::flat_hash_set<std::uint64_t>;
  // Direct callees (calls, and jumps to other functions) of the function at an address.
  std::vector<std::uint64_t> Callees(const Extent& extent) const;
  bool MayBranchTo(const Extent& extent, const AddressSet& targets) const;
  AddressSet Closure(const std::vector<std::uint64_t>& roots, const RoleMap& roles) const;
  // Whether a path of the function frees its first argument, or hands it as first argument to one of `enders`.
  bool EndsFirstArgument(const FunctionSummary& summary, const RoleMap& roles, const AddressSet& enders) const;
  void SummarizeCallers(const std::vector<std::uint64_t>& targets, const RoleMap& roles, const AddressSet& ends,
                        const AddressSet& members, std::map<std::uint64_t, FunctionSummary>& summaries);
  bool Says(const FunctionSummary& summary, std::string_view word) const;
  bool Forwards(const FunctionSummary& summary, const AddressSet& enders) const;

  const Image& image_;
  const CodeScan& scan_;
  const FunctionFinder& finder_;
  Interpreter& interpreter_;
  ExpressionPool& pool_;
  const PageShape shape_;
};

}  // namespace leaktrace::hooks
