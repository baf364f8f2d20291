// What one function does with free lists and other functions, path by path: the interpreter's answer, from which roles
// are derived.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "analyzer/hooks/expression.h"

namespace leaktrace::hooks {

inline constexpr int kArgumentRegisters = 6;

// `list` is the address of a list's head. Pop: head = head->next. Push: block->next = head, head = block.
struct ListOperation {
  bool push;
  std::uint64_t address;  // of the instruction that stores the head
  ExpressionId list;      // address of the head: page + offset
  ExpressionId page;
  std::int64_t offset;
  ExpressionId block;
  std::int8_t page_register;  // hardware numbers at that instruction; -1: in none
  std::int8_t block_register;
  friend bool operator==(const ListOperation&, const ListOperation&) = default;
};

// *(page + offset) += delta
struct CountUpdate {
  std::uint64_t address;
  ExpressionId count;  // address of the count: page + offset
  ExpressionId page;
  std::int64_t offset;
  std::int64_t delta;
  int bytes;
};

struct CallEvent {
  std::uint64_t address;
  std::uint64_t target;  // 0: not known (indirect)
  bool tail;             // the function ends with it
  std::array<ExpressionId, kArgumentRegisters> arguments;
  ExpressionId result;
};

// A store of a value to *(an argument).
struct OutStore {
  int argument;
  ExpressionId value;
};

struct Path {
  std::vector<ListOperation> lists;
  std::vector<CountUpdate> counts;
  std::vector<CallEvent> calls;
  std::vector<OutStore> outs;
  std::vector<ExpressionId> filled;  // popped blocks that vector or string stores write to
  unsigned tested_arguments = 0;     // arguments whose being zero or odd is asked
  unsigned alignment_arguments = 0;  // arguments k for which (k - 1) masks something
  ExpressionId result = -1;          // rax at the end; -1: the path ends in a tail call or was given up
  bool returns = false;
  bool reads_thread = false;     // fs:0, as a free does that asks whose page this is
  bool compares_itself = false;  // the first argument with a fixed address, or with what is found through itself
  bool exchanges = false;        // an atomic compare-and-exchange
};

struct FunctionSummary {
  std::uint64_t begin = 0, end = 0;
  std::vector<Path> paths;
  bool complete = true;  // no path was given up for the limits
  std::size_t instructions = 0;
};

}  // namespace leaktrace::hooks
