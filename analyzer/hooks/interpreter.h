// Runs a function symbolically, along each of its paths, and writes down what it does with lists, counts and calls.
//
// Guarantees: bounded: a function whose paths are too many is explored in part and marked incomplete. Branches are
// followed both ways, whatever their condition; loops a few times. Not thread-safe.
#pragma once

#include <capstone/capstone.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/hooks/function_finder.h"
#include "analyzer/hooks/function_summary.h"
#include "analyzer/hooks/image.h"

namespace leaktrace::hooks {

class Interpreter {
 public:
  static constexpr std::size_t kMaxSteps = 30'000;  // instructions of a function, over all paths

  Interpreter(const Image& image, const FunctionFinder& finder, ExpressionPool& pool);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // The function that begins at extent.begin.
  FunctionSummary Run(const Extent& extent, std::size_t max_steps = kMaxSteps);
  // The instructions that lead to `address` and a few after it, straight on, with nothing known of the registers: one
  // path. For sites that Run does not reach, and, with `loosely`, to tell quickly what is worth a Run: then a store of
  // *x to a list's head counts as a pop whatever x is.
  FunctionSummary RunAround(std::uint64_t address, bool loosely);

  // The instruction right before `address`, if control can only fall from it into `address` and it writes none of the
  // general registers in `kept` (bits by hardware number).
  std::optional<std::uint64_t> StraightBefore(std::uint64_t address, const Extent& extent, unsigned kept);

  // Direct calls and jumps in `code`, decoded from its first byte on: visit(address, target, is a call).
  void ForEachBranch(std::uint64_t address, absl::Span<const std::uint8_t> code,
                     const std::function<void(std::uint64_t, std::uint64_t, bool)>& visit);

 private:
  struct State;
  // A memory operand disp(%base), as the instruction spells it: the object and the field.
  struct PlaceOperand {
    ExpressionId base = -1;
    std::int64_t displacement = 0;
    int base_register = -1;
  };
  const cs_insn* Decode(std::uint64_t address);
  FunctionSummary Explore(State start, const Extent& extent, std::size_t max_steps);
  // Executes one instruction; the next addresses are appended to `next` (none: the path ended).
  void Execute(const cs_insn& insn, State& state, const Extent& extent, std::vector<State>& forks, bool& ended);
  void ExecuteCall(const cs_insn& insn, State& state);
  void ExecuteJump(const cs_insn& insn, State& state, const Extent& extent, bool& ended);
  void ExecuteData(const cs_insn& insn, State& state, std::vector<State>& forks);
  void ReadModifyWrite(const cs_insn& insn, State& state);
  void NoteFill(const cs_insn& insn, State& state);
  void NoteTest(State& state, ExpressionId value);
  void NoteIdentity(State& state, ExpressionId left, ExpressionId right);
  void NoteMask(State& state, ExpressionId a, ExpressionId b);

  ExpressionId Address(const cs_insn& insn, const cs_x86_op& operand, const State& state);
  ExpressionId Read(const cs_insn& insn, const cs_x86_op& operand, State& state);
  void Write(const cs_insn& insn, const cs_x86_op& operand, ExpressionId value, State& state);
  ExpressionId ReadMemory(ExpressionId address, int bytes, State& state);
  void WriteMemory(const cs_insn& insn, ExpressionId address, int bytes, ExpressionId value, const PlaceOperand& place,
                   State& state);
  ExpressionId Unknown(std::uint64_t address, int which);
  void ForgetCallerSaved(std::uint64_t address, State& state);

  const Image& image_;
  const FunctionFinder& finder_;
  ExpressionPool& pool_;
  csh handle_ = 0;
  bool loosely_ = false;
  absl::flat_hash_map<std::uint64_t, cs_insn*> decoded_;
};

}  // namespace leaktrace::hooks
