#include "analyzer/unwind/cfa_program.h"

#include <dwarf.h>

#include <array>
#include <limits>

#include "analyzer/unwind/eh_pointer.h"

namespace leaktrace {
namespace {

using format::UnwindRow;
using format::UnwindRule;
using State = CfaProgram::State;

// DWARF register numbers, System V ABI for x86-64, figure 3.36.
constexpr std::uint64_t kRbp = 6, kRsp = 7, kReturnAddress = 16;
constexpr std::int64_t kReturnAddressAtCfa = -8;

template <typename T>
bool Fits(std::int64_t value) {
  return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

// The expression that linkers write for .plt:
// breg7 8; breg16 0; lit15; and; lit<threshold>; ge; lit3; shl; plus. Returns the threshold, or -1.
int PltThreshold(absl::Span<const std::uint8_t> expression) {
  constexpr std::array<std::uint8_t, 11> kPattern = {
      DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, DW_OP_lit0, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus};
  if (expression.size() != kPattern.size()) return -1;
  int threshold = -1;
  for (std::size_t i = 0; i < kPattern.size(); ++i) {
    if (i == 6 && expression[i] >= DW_OP_lit0 && expression[i] <= DW_OP_lit15) {
      threshold = expression[i] - DW_OP_lit0;
    } else if (expression[i] != kPattern[i]) {
      return -1;
    }
  }
  return threshold;
}

// `breg6 N`, with `deref` after it where `dereferenced`.
bool IsRbpPlus(absl::Span<const std::uint8_t> expression, bool dereferenced, std::int64_t& offset) {
  ByteReader reader(expression);
  if (reader.Fixed<std::uint8_t>() != DW_OP_breg6) return false;
  offset = reader.Sleb();
  if (dereferenced && reader.Fixed<std::uint8_t>() != DW_OP_deref) return false;
  return reader.ok() && reader.empty();
}

void SetCfaExpression(State& state, absl::Span<const std::uint8_t> expression) {
  std::int64_t offset = 0;
  if (const int threshold = PltThreshold(expression); threshold >= 0) {
    state.cfa = State::Cfa::kPlt;
    state.cfa_offset = threshold;
  } else if (IsRbpPlus(expression, true, offset)) {
    state.cfa = State::Cfa::kDeref;
    state.cfa_offset = offset;
  } else {
    state.cfa = State::Cfa::kOther;
  }
}

void SetRule(State& state, std::uint64_t reg, State::Saved rule, std::int64_t offset) {
  if (reg == kRbp) {
    state.rbp = rule;
    state.rbp_offset = offset;
  } else if (reg == kReturnAddress) {
    state.return_address = rule;
    state.return_offset = offset;
  }
}

void Restore(State& state, std::uint64_t reg, const State& initial) {
  if (reg == kRbp) SetRule(state, reg, initial.rbp, initial.rbp_offset);
  if (reg == kReturnAddress) SetRule(state, reg, initial.return_address, initial.return_offset);
}

// Interprets instructions one by one; Advance() is what differs between a common entry (no rows) and a function.
class Interpreter {
 public:
  Interpreter(const CommonEntry& common, absl::Span<const std::uint8_t> instructions, std::uint64_t address,
              State first)
      : state(first), common_(common), initial_(first), reader_(instructions), address_(address) {}

  State state;
  // What the last Step said of the location, and then the state is as before: moved by `advance`, or set to
  // `set_location`; 0 = neither.
  std::uint64_t advance = 0;
  std::uint64_t set_location = 0;

  [[nodiscard]] bool Done() const { return reader_.empty(); }

  // Runs the next instruction. False where it is unknown or incomplete.
  bool Step() {
    advance = set_location = 0;
    const auto byte = reader_.Fixed<std::uint8_t>();
    const std::uint8_t low = byte & 0x3f;
    switch (byte & 0xc0) {
      case DW_CFA_advance_loc:
        advance = low * common_.code_alignment;
        break;
      case DW_CFA_offset:
        SetRule(state, low, State::Saved::kAtCfa, Factored(reader_.Uleb()));
        break;
      case DW_CFA_restore:
        Restore(state, low, initial_);
        break;
      default:
        if (!StepExtended(byte)) return false;
    }
    return reader_.ok();
  }

 private:
  static constexpr std::size_t kMaxRemembered = 64;

  // Wraps instead of overflowing: offsets are untrusted, and what is out of range is found when a row is made.
  [[nodiscard]] std::int64_t Factored(std::uint64_t value) const {
    return static_cast<std::int64_t>(value * static_cast<std::uint64_t>(common_.data_alignment));
  }

  void DefineCfa(std::uint64_t reg, std::int64_t offset) {
    state.cfa = State::Cfa::kRegister;
    state.cfa_register = reg;
    state.cfa_offset = offset;
  }

  bool StepExtended(std::uint8_t opcode) {
    switch (opcode) {
      case DW_CFA_nop:
        return true;
      case DW_CFA_set_loc: {
        const auto location = ReadPointer(reader_, common_.pointer_encoding, address_, 0);
        set_location = location.value_or(0);
        return location.has_value();
      }
      case DW_CFA_advance_loc1:
        advance = reader_.Fixed<std::uint8_t>() * common_.code_alignment;
        return true;
      case DW_CFA_advance_loc2:
        advance = reader_.Fixed<std::uint16_t>() * common_.code_alignment;
        return true;
      case DW_CFA_advance_loc4:
        advance = reader_.Fixed<std::uint32_t>() * common_.code_alignment;
        return true;
      case DW_CFA_remember_state:
        if (remembered_.size() == kMaxRemembered) return false;
        remembered_.push_back(state);
        return true;
      case DW_CFA_restore_state:
        if (remembered_.empty()) return false;
        state = remembered_.back();
        remembered_.pop_back();
        return true;
      case DW_CFA_GNU_args_size:
        reader_.Uleb();
        return true;
      case DW_CFA_def_cfa:
        return DefineCfaRegisterAndOffset(false);
      case DW_CFA_def_cfa_sf:
        return DefineCfaRegisterAndOffset(true);
      case DW_CFA_def_cfa_register:
        DefineCfa(reader_.Uleb(), state.cfa_offset);
        return true;
      case DW_CFA_def_cfa_offset:
        state.cfa_offset = static_cast<std::int64_t>(reader_.Uleb());
        return true;
      case DW_CFA_def_cfa_offset_sf:
        state.cfa_offset = Factored(static_cast<std::uint64_t>(reader_.Sleb()));
        return true;
      case DW_CFA_def_cfa_expression:
        SetCfaExpression(state, reader_.Take(reader_.Uleb()));
        return true;
      default:
        return StepRegister(opcode);
    }
  }

  bool DefineCfaRegisterAndOffset(bool factored) {
    const std::uint64_t reg = reader_.Uleb();
    DefineCfa(reg, factored ? Factored(static_cast<std::uint64_t>(reader_.Sleb()))
                            : static_cast<std::int64_t>(reader_.Uleb()));
    return true;
  }

  // Instructions that begin with a register's number.
  bool StepRegister(std::uint8_t opcode) {
    const std::uint64_t reg = reader_.Uleb();
    switch (opcode) {
      case DW_CFA_offset_extended:
        SetRule(state, reg, State::Saved::kAtCfa, Factored(reader_.Uleb()));
        return true;
      case DW_CFA_offset_extended_sf:
        SetRule(state, reg, State::Saved::kAtCfa, Factored(static_cast<std::uint64_t>(reader_.Sleb())));
        return true;
      case DW_CFA_GNU_negative_offset_extended:
        SetRule(state, reg, State::Saved::kAtCfa, Factored(0 - reader_.Uleb()));
        return true;
      case DW_CFA_restore_extended:
        Restore(state, reg, initial_);
        return true;
      case DW_CFA_undefined:
        SetRule(state, reg, State::Saved::kUndefined, 0);
        return true;
      case DW_CFA_same_value:
        SetRule(state, reg, State::Saved::kSame, 0);
        return true;
      case DW_CFA_register:
        reader_.Uleb();
        SetRule(state, reg, State::Saved::kOther, 0);
        return true;
      case DW_CFA_val_offset:
      case DW_CFA_val_offset_sf:
        reader_.Uleb();
        SetRule(state, reg, State::Saved::kOther, 0);
        return true;
      case DW_CFA_expression: {
        std::int64_t offset = 0;
        const bool at_rbp = IsRbpPlus(reader_.Take(reader_.Uleb()), false, offset);
        SetRule(state, reg, at_rbp ? State::Saved::kAtRbp : State::Saved::kOther, offset);
        return true;
      }
      case DW_CFA_val_expression:
        reader_.Take(reader_.Uleb());
        SetRule(state, reg, State::Saved::kOther, 0);
        return true;
      default:
        return false;
    }
  }

  const CommonEntry& common_;
  const State initial_;
  ByteReader reader_;
  std::uint64_t address_;
  std::vector<State> remembered_;
};

// The rule that computes the CFA; kUnsupported where there is none.
UnwindRule CompactRule(const State& state) {
  switch (state.cfa) {
    case State::Cfa::kRegister:
      if (state.cfa_register == kRbp) return UnwindRule::kRbp;
      if (state.cfa_register != kRsp) return UnwindRule::kUnsupported;
      return !Fits<std::int16_t>(state.cfa_offset) && state.cfa_offset % 8 == 0 ? UnwindRule::kRspWords
                                                                                : UnwindRule::kRsp;
    case State::Cfa::kPlt:
      return UnwindRule::kPlt;
    case State::Cfa::kDeref:
      return UnwindRule::kRbpDeref;
    case State::Cfa::kOther:
      break;
  }
  return UnwindRule::kUnsupported;
}

// The compact form of a state, kUnsupported where it has none.
UnwindRow Compact(std::uint32_t pc, const State& state) {
  UnwindRow row{.pc = pc, .rule = UnwindRule::kUnsupported, .rbp_offset = 0, .cfa_offset = 0};
  if (state.return_address == State::Saved::kUndefined) {
    row.rule = UnwindRule::kEnd;
    return row;
  }
  if (state.return_address != State::Saved::kAtCfa || state.return_offset != kReturnAddressAtCfa) return row;
  const bool at_rbp = state.rbp == State::Saved::kAtRbp;
  const bool saved = at_rbp || state.rbp == State::Saved::kAtCfa;
  if (state.rbp == State::Saved::kOther || at_rbp != (state.cfa == State::Cfa::kDeref)) return row;
  const std::int64_t words = saved ? state.rbp_offset / 8 : 0;
  if (saved && (state.rbp_offset % 8 != 0 || !Fits<std::int8_t>(words) || (words == 0 && !at_rbp))) return row;
  const UnwindRule rule = CompactRule(state);
  const std::int64_t cfa_offset = rule == UnwindRule::kRspWords ? state.cfa_offset / 8 : state.cfa_offset;
  if (rule == UnwindRule::kUnsupported || !Fits<std::int16_t>(cfa_offset)) return row;
  row.rule = rule;
  row.cfa_offset = static_cast<std::int16_t>(cfa_offset);
  row.rbp_offset = static_cast<std::int8_t>(words);
  return row;
}

}  // namespace

State CfaProgram::Initial(const CommonEntry& common) {
  Interpreter interpreter(common, common.instructions, 0, State{});
  while (!interpreter.Done() && interpreter.Step()) {
  }
  return interpreter.state;
}

void CfaProgram::Run(const FunctionEntry& function, const CommonEntry& common, const State& initial) {
  Interpreter interpreter(common, function.instructions, function.instructions_address, initial);
  std::uint64_t location = function.begin;
  while (!interpreter.Done()) {
    if (!interpreter.Step()) {
      interpreter.state.cfa = State::Cfa::kOther;
      break;
    }
    if (interpreter.advance == 0 && interpreter.set_location == 0) continue;
    const std::uint64_t next =
        interpreter.set_location != 0 ? interpreter.set_location : location + interpreter.advance;
    Append(location, interpreter.state, common.signal_frame);
    if (next <= location || next >= function.end) return;
    location = next;
  }
  Append(location, interpreter.state, common.signal_frame);
}

void CfaProgram::Gap(std::uint64_t address) {
  if (address <= std::numeric_limits<std::uint32_t>::max()) {
    Append({.pc = static_cast<std::uint32_t>(address), .rule = UnwindRule::kNoRow, .rbp_offset = 0, .cfa_offset = 0});
  }
}

void CfaProgram::Append(std::uint64_t address, const State& state, bool signal_frame) {
  const auto pc = static_cast<std::uint32_t>(address);
  const UnwindRow row = signal_frame
                            ? UnwindRow{.pc = pc, .rule = UnwindRule::kSignalFrame, .rbp_offset = 0, .cfa_offset = 0}
                            : Compact(pc, state);
  Append(row);
}

void CfaProgram::Append(UnwindRow row) {
  if (!rows_.empty() && rows_.back().pc == row.pc) rows_.pop_back();
  if (!rows_.empty()) {
    const UnwindRow& last = rows_.back();
    if (last.rule == row.rule && last.rbp_offset == row.rbp_offset && last.cfa_offset == row.cfa_offset) return;
  }
  rows_.push_back(row);
}

}  // namespace leaktrace
