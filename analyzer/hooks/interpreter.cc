#include "analyzer/hooks/interpreter.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/container/flat_hash_map.h"

namespace leaktrace::hooks {
namespace {

constexpr int kMaxVisits = 5;  // of one branch target within a function
constexpr std::size_t kMaxPathLength = 3'000;
constexpr std::size_t kMaxPaths = 2'000;
constexpr std::size_t kLongestInstruction = 15;
constexpr std::uint64_t kAroundBytes = 56;      // what RunAround looks at, before and after
constexpr std::size_t kStepsToSynchronize = 3;  // instructions after which decoding from anywhere is in step
constexpr int kRegisters = 16, kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7;
constexpr std::int64_t kMaxPageField = 0x80;

// Hardware numbers of the argument registers.
constexpr std::array<int, kArgumentRegisters> kArguments = {kRdi, kRsi, kRdx, kRcx, 8, 9};

struct RegisterName {
  int number = -1;  // hardware number of the general register, -1 for others
  int bits = 0;
  bool high = false;  // ah, bh, ch, dh
};

RegisterName NameOf(unsigned reg) {
  switch (reg) {
#define LEAKTRACE_REGISTER(n, r64, r32, r16, r8) \
  case X86_REG_##r64:                            \
    return {n, 64, false};                       \
  case X86_REG_##r32:                            \
    return {n, 32, false};                       \
  case X86_REG_##r16:                            \
    return {n, 16, false};                       \
  case X86_REG_##r8:                             \
    return {n, 8, false};
    LEAKTRACE_REGISTER(0, RAX, EAX, AX, AL)
    LEAKTRACE_REGISTER(1, RCX, ECX, CX, CL)
    LEAKTRACE_REGISTER(2, RDX, EDX, DX, DL)
    LEAKTRACE_REGISTER(3, RBX, EBX, BX, BL)
    LEAKTRACE_REGISTER(4, RSP, ESP, SP, SPL)
    LEAKTRACE_REGISTER(5, RBP, EBP, BP, BPL)
    LEAKTRACE_REGISTER(6, RSI, ESI, SI, SIL)
    LEAKTRACE_REGISTER(7, RDI, EDI, DI, DIL)
    LEAKTRACE_REGISTER(8, R8, R8D, R8W, R8B)
    LEAKTRACE_REGISTER(9, R9, R9D, R9W, R9B)
    LEAKTRACE_REGISTER(10, R10, R10D, R10W, R10B)
    LEAKTRACE_REGISTER(11, R11, R11D, R11W, R11B)
    LEAKTRACE_REGISTER(12, R12, R12D, R12W, R12B)
    LEAKTRACE_REGISTER(13, R13, R13D, R13W, R13B)
    LEAKTRACE_REGISTER(14, R14, R14D, R14W, R14B)
    LEAKTRACE_REGISTER(15, R15, R15D, R15W, R15B)
#undef LEAKTRACE_REGISTER
    case X86_REG_AH:
      return {0, 8, true};
    case X86_REG_CH:
      return {1, 8, true};
    case X86_REG_DH:
      return {2, 8, true};
    case X86_REG_BH:
      return {3, 8, true};
    default:
      return {};
  }
}

std::int64_t SignExtend(std::uint64_t value, int bits) {
  const int shift = 64 - bits;
  return static_cast<std::int64_t>(value << shift) >> shift;
}

}  // namespace

struct Interpreter::State {
  std::uint64_t pc = 0;
  std::array<ExpressionId, kRegisters> registers{};
  std::vector<std::pair<ExpressionId, ExpressionId>> memory;  // what was stored where, the latest last; 8 bytes each
  Path path;
  std::size_t steps = 0;
};

Interpreter::Interpreter(const Image& image, const FunctionFinder& finder, ExpressionPool& pool)
    : image_(image), finder_(finder), pool_(pool) {
  cs_open(CS_ARCH_X86, CS_MODE_64, &handle_);
  cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
}

Interpreter::~Interpreter() {
  for (const auto& [address, insn] : decoded_) {
    if (insn != nullptr) cs_free(insn, 1);
  }
  cs_close(&handle_);
}

const cs_insn* Interpreter::Decode(std::uint64_t address) {
  const auto [it, inserted] = decoded_.try_emplace(address, nullptr);
  if (inserted) {
    const auto code = image_.Code(address, kLongestInstruction);
    if (!code.empty() && cs_disasm(handle_, code.data(), code.size(), address, 1, &it->second) == 0)
      it->second = nullptr;
  }
  return it->second;
}

std::optional<std::uint64_t> Interpreter::StraightBefore(std::uint64_t address, const Extent& extent, unsigned kept) {
  const cs_insn* before = nullptr;
  for (std::uint64_t pc = extent.begin; pc < address;) {
    before = Decode(pc);
    if (before == nullptr) return std::nullopt;
    pc += before->size;
    if (pc > address) return std::nullopt;
  }
  if (before == nullptr || before->id == X86_INS_RET || before->id == X86_INS_CALL ||
      cs_insn_group(handle_, before, CS_GRP_JUMP)) {
    return std::nullopt;
  }
  cs_regs read, written;
  std::uint8_t read_count = 0, written_count = 0;
  if (cs_regs_access(handle_, before, read, &read_count, written, &written_count) != CS_ERR_OK) return std::nullopt;
  for (int i = 0; i < written_count; ++i) {
    const RegisterName name = NameOf(written[i]);
    if (name.number >= 0 && (kept >> name.number & 1) != 0) return std::nullopt;
  }
  return before->address;
}

void Interpreter::ForEachBranch(std::uint64_t address, absl::Span<const std::uint8_t> code,
                                const std::function<void(std::uint64_t, std::uint64_t, bool)>& visit) {
  cs_insn* const insn = cs_malloc(handle_);
  const std::uint8_t* bytes = code.data();
  std::size_t left = code.size();
  while (left > 0) {
    if (!cs_disasm_iter(handle_, &bytes, &left, &address, insn)) {
      ++bytes, --left, ++address;
      continue;
    }
    const bool call = insn->id == X86_INS_CALL;
    if (!call && insn->id != X86_INS_JMP) continue;
    const cs_x86_op& operand = insn->detail->x86.operands[0];
    if (operand.type == X86_OP_IMM) visit(insn->address, image_.Resolve(static_cast<std::uint64_t>(operand.imm)), call);
  }
  cs_free(insn, 1);
}

ExpressionId Interpreter::Unknown(std::uint64_t address, int which) {
  return pool_.Leaf(Operation::kUnknown, static_cast<std::int64_t>(address * 32 + static_cast<std::uint64_t>(which)));
}

FunctionSummary Interpreter::Run(const Extent& extent, std::size_t max_steps) {
  State start;
  start.pc = extent.begin;
  for (int i = 0; i < kRegisters; ++i) start.registers[static_cast<std::size_t>(i)] = Unknown(extent.begin, i);
  for (int i = 0; i < kArgumentRegisters; ++i) {
    start.registers[static_cast<std::size_t>(kArguments[static_cast<std::size_t>(i)])] =
        pool_.Leaf(Operation::kArgument, i);
  }
  start.registers[kRsp] = pool_.Leaf(Operation::kStack, 0);
  return Explore(std::move(start), extent, max_steps);
}

// Instructions are found by decoding from some bytes before: x86 code falls into step after a few instructions,
// whatever the first byte.
FunctionSummary Interpreter::RunAround(std::uint64_t address, bool loosely) {
  FunctionSummary summary;
  std::vector<std::uint64_t> starts;
  for (std::uint64_t pc = address - kAroundBytes; pc < address;) {
    const cs_insn* insn = Decode(pc);
    if (insn != nullptr) starts.push_back(pc);
    pc += insn == nullptr ? 1 : insn->size;
  }
  State state;
  state.pc = starts.size() > kStepsToSynchronize ? starts[kStepsToSynchronize] : address;
  for (int i = 0; i < kRegisters; ++i) state.registers[static_cast<std::size_t>(i)] = Unknown(address, i);
  state.registers[kRsp] = pool_.AddConstant(pool_.Leaf(Operation::kStack, 0), -4096);
  loosely_ = loosely;
  std::vector<State> forks;
  while (state.pc < address + kAroundBytes) {
    const cs_insn* insn = Decode(state.pc);
    const std::uint64_t next = state.pc + (insn == nullptr ? 1 : insn->size);
    if (insn == nullptr || insn->id == X86_INS_RET || cs_insn_group(handle_, insn, CS_GRP_JUMP)) {
      state.pc = next;
      continue;
    }
    bool ended = false;
    Execute(*insn, state, {0, ~0ull}, forks, ended);
    forks.clear();
    state.pc = next;
  }
  loosely_ = false;
  summary.begin = address;
  summary.paths.push_back(std::move(state.path));
  return summary;
}

FunctionSummary Interpreter::Explore(State start, const Extent& extent, std::size_t max_steps) {
  FunctionSummary summary;
  summary.begin = extent.begin;
  summary.end = extent.end;
  absl::flat_hash_map<std::uint64_t, int> visits;
  // What was never visited goes first, so that the limits cut off repetitions and not whole parts of the function.
  std::vector<State> fresh, repeated;
  fresh.push_back(std::move(start));
  while (!fresh.empty() || !repeated.empty()) {
    std::vector<State>& pending = fresh.empty() ? repeated : fresh;
    State state = std::move(pending.back());
    pending.pop_back();
    if (summary.instructions > max_steps || summary.paths.size() >= kMaxPaths) {
      summary.complete = false;
      break;
    }
    bool ended = ++visits[state.pc] > kMaxVisits;
    while (!ended) {
      const cs_insn* insn = Decode(state.pc);
      ++summary.instructions;
      if (insn == nullptr || ++state.steps > kMaxPathLength) break;
      std::vector<State> forks;
      const std::uint64_t before = state.pc;
      Execute(*insn, state, extent, forks, ended);
      for (State& fork : forks) (visits.contains(fork.pc) ? repeated : fresh).push_back(std::move(fork));
      const bool straight = state.pc == before + insn->size;
      if (!straight && ++visits[state.pc] > kMaxVisits) break;
      // Past a call that does not return another function begins.
      if (straight && state.pc == extent.end) break;
      if (summary.instructions > max_steps) break;
    }
    summary.paths.push_back(std::move(state.path));
  }
  return summary;
}

void Interpreter::Execute(const cs_insn& insn, State& state, const Extent& extent, std::vector<State>& forks,
                          bool& ended) {
  switch (insn.id) {
    case X86_INS_RET:
      state.path.returns = true;
      state.path.result = state.registers[kRax];
      ended = true;
      return;
    case X86_INS_INT3:
    case X86_INS_UD2:
    case X86_INS_HLT:
      ended = true;
      return;
    case X86_INS_JMP:
      ExecuteJump(insn, state, extent, ended);
      return;
    case X86_INS_CALL:
      ExecuteCall(insn, state);
      state.pc = insn.address + insn.size;
      return;
    default:
      break;
  }
  if (cs_insn_group(handle_, &insn, CS_GRP_JUMP)) {
    State taken = state;
    bool taken_ended = false;
    ExecuteJump(insn, taken, extent, taken_ended);
    if (taken_ended) {
      taken.pc = insn.address;  // the path is complete: it is written down when it is taken up
      taken.steps = kMaxPathLength;
    }
    forks.push_back(std::move(taken));
    state.pc = insn.address + insn.size;
    return;
  }
  state.pc = insn.address + insn.size;
  ExecuteData(insn, state, forks);
}

// A jump out of the function, with the stack as it was at the entry, is a tail call; every other one goes on within the
// function.
void Interpreter::ExecuteJump(const cs_insn& insn, State& state, const Extent& extent, bool& ended) {
  const cs_x86_op& operand = insn.detail->x86.operands[0];
  const bool unwound = pool_[state.registers[kRsp]].operation == Operation::kStack;
  CallEvent event{insn.address, 0, true, {}, -1};
  for (std::size_t i = 0; i < kArguments.size(); ++i) {
    event.arguments[i] = state.registers[static_cast<std::size_t>(kArguments[i])];
  }
  if (operand.type == X86_OP_IMM) {
    const auto target = image_.Resolve(static_cast<std::uint64_t>(operand.imm));
    if (!unwound || extent.Holds(target)) {
      state.pc = target;
      return;
    }
    event.target = target;
  } else if (!unwound) {
    ended = true;  // a jump table: its targets are not followed
    return;
  }
  event.result = pool_.Leaf(Operation::kCall, static_cast<std::int64_t>(insn.address));
  state.path.result = event.result;
  state.path.returns = true;
  state.path.calls.push_back(event);
  ended = true;
}

void Interpreter::ExecuteCall(const cs_insn& insn, State& state) {
  const cs_x86_op& operand = insn.detail->x86.operands[0];
  CallEvent event{insn.address, 0, false, {}, pool_.Leaf(Operation::kCall, static_cast<std::int64_t>(insn.address))};
  if (operand.type == X86_OP_IMM) event.target = image_.Resolve(static_cast<std::uint64_t>(operand.imm));
  for (std::size_t i = 0; i < kArguments.size(); ++i) {
    event.arguments[i] = state.registers[static_cast<std::size_t>(kArguments[i])];
  }
  // What the callee may have written through a pointer to this frame is not known any more.
  for (const ExpressionId argument : event.arguments) {
    const auto [base, offset] = pool_.Split(argument);
    if (base < 0 || pool_[base].operation != Operation::kStack) continue;
    std::erase_if(state.memory, [&](const auto& entry) { return entry.first == argument; });
    state.memory.emplace_back(argument, Unknown(insn.address, 20));
  }
  state.path.calls.push_back(event);
  ForgetCallerSaved(insn.address, state);
  state.registers[kRax] = event.result;
}

void Interpreter::ForgetCallerSaved(std::uint64_t address, State& state) {
  for (const int number : {kRax, kRcx, kRdx, kRsi, kRdi, 8, 9, 10, 11}) {
    state.registers[static_cast<std::size_t>(number)] = Unknown(address, number);
  }
}

ExpressionId Interpreter::Address(const cs_insn& insn, const cs_x86_op& operand, const State& state) {
  const auto& mem = operand.mem;
  ExpressionId address = pool_.Constant(mem.disp);
  if (mem.base == X86_REG_RIP) {
    address = pool_.Constant(static_cast<std::int64_t>(insn.address + insn.size) + mem.disp);
  } else if (const RegisterName base = NameOf(mem.base); base.number >= 0) {
    address = pool_.Add(state.registers[static_cast<std::size_t>(base.number)], address);
  }
  if (const RegisterName index = NameOf(mem.index); index.number >= 0) {
    const ExpressionId scaled = pool_.Binary(
        Operation::kMultiply, state.registers[static_cast<std::size_t>(index.number)], pool_.Constant(mem.scale));
    address = pool_.Add(address, scaled);
  }
  if (mem.segment == X86_REG_FS) address = pool_.Add(pool_.Leaf(Operation::kThreadPointer, 0), address);
  return address;
}

ExpressionId Interpreter::ReadMemory(ExpressionId address, int bytes, State& state) {
  // fs:0 holds the thread pointer itself (the x86-64 ABI's thread control block).
  if (pool_[address].operation == Operation::kThreadPointer) {
    state.path.reads_thread = true;
    return address;
  }
  for (auto it = state.memory.rbegin(); it != state.memory.rend(); ++it) {
    if (it->first == address) return bytes == 8 ? it->second : pool_.Truncate(it->second, bytes * 8);
  }
  return pool_.Load(address, bytes);
}

ExpressionId Interpreter::Read(const cs_insn& insn, const cs_x86_op& operand, State& state) {
  if (operand.type == X86_OP_IMM) return pool_.Constant(operand.imm);
  if (operand.type == X86_OP_MEM) return ReadMemory(Address(insn, operand, state), operand.size, state);
  if (operand.type != X86_OP_REG) return Unknown(insn.address, 21);
  const RegisterName name = NameOf(operand.reg);
  if (name.number < 0) return Unknown(insn.address, 22);
  const ExpressionId value = state.registers[static_cast<std::size_t>(name.number)];
  if (name.bits == 64) return value;
  return name.high ? pool_.Other(value, value) : pool_.Truncate(value, name.bits);
}

void Interpreter::Write(const cs_insn& insn, const cs_x86_op& operand, ExpressionId value, State& state) {
  if (operand.type == X86_OP_MEM) {
    const RegisterName base = NameOf(operand.mem.base);
    const bool plain = operand.mem.index == X86_REG_INVALID && operand.mem.segment != X86_REG_FS;
    const PlaceOperand place =
        plain && base.number >= 0
            ? PlaceOperand{state.registers[static_cast<std::size_t>(base.number)], operand.mem.disp, base.number}
            : PlaceOperand{};
    WriteMemory(insn, Address(insn, operand, state), operand.size, value, place, state);
    return;
  }
  if (operand.type != X86_OP_REG) return;
  const RegisterName name = NameOf(operand.reg);
  if (name.number < 0) return;
  ExpressionId& reg = state.registers[static_cast<std::size_t>(name.number)];
  if (name.bits == 64) {
    reg = value;
  } else if (name.bits == 32) {
    reg = pool_.Truncate(value, 32);
  } else {
    reg = pool_.Other(reg, value);  // the upper bits stay
  }
}

void Interpreter::WriteMemory(const cs_insn& insn, ExpressionId address, int bytes, ExpressionId value,
                              const PlaceOperand& place, State& state) {
  const bool field = place.base >= 0 && place.displacement >= 0 && place.displacement < kMaxPageField;
  if (bytes == 8 && field) {
    const ExpressionId head = ReadMemory(address, 8, state);
    ListOperation operation{
        false, insn.address, address, place.base, place.displacement, -1, static_cast<std::int8_t>(place.base_register),
        -1};
    const Expression stored = pool_[value];
    if (stored.operation == Operation::kLoad && stored.value == 8 &&
        (stored.a == head || (loosely_ && stored.a != place.base))) {
      operation.block = stored.a;
    } else if (value != head && stored.operation != Operation::kConstant) {
      for (const auto& [where, content] : state.memory) {
        if (where == value && content == head) {
          operation.push = true;
          operation.block = value;
        }
      }
    }
    if (operation.block >= 0) {
      for (int i = 0; i < kRegisters; ++i) {
        if (state.registers[static_cast<std::size_t>(i)] == operation.block)
          operation.block_register = static_cast<std::int8_t>(i);
      }
      state.path.lists.push_back(operation);
    }
  }
  if (field) {
    // page->used = page->used + n, written out as load, add, store.
    const auto delta = pool_.Difference(value, ReadMemory(address, bytes, state));
    if (delta && *delta != 0)
      state.path.counts.push_back({insn.address, address, place.base, place.displacement, *delta, bytes});
  }
  if (bytes == 8) {
    const int argument = pool_.Argument(address);
    if (argument >= 0) state.path.outs.push_back({argument, value});
  }
  std::erase_if(state.memory, [&](const auto& entry) { return entry.first == address; });
  if (bytes == 8) state.memory.emplace_back(address, value);
}

void Interpreter::NoteMask(State& state, ExpressionId a, ExpressionId b) {
  for (const auto& [mask, masked] : {std::pair{a, b}, std::pair{b, a}}) {
    const auto [base, offset] = pool_.Split(mask);
    if (base < 0 || offset != -1 || pool_.IsConstant(masked)) continue;
    if (const int argument = pool_.Argument(base); argument >= 0) state.path.alignment_arguments |= 1u << argument;
  }
}

void Interpreter::NoteTest(State& state, ExpressionId value) {
  if (const int argument = pool_.Argument(value); argument >= 0) state.path.tested_arguments |= 1u << argument;
}

// Whether it asks if its first argument is one particular object: `heap == &_mi_heap_empty`, `heap ==
// heap->subproc->heap_main`.
void Interpreter::NoteIdentity(State& state, ExpressionId left, ExpressionId right) {
  const ExpressionId first = pool_.Leaf(Operation::kArgument, 0);
  for (const auto& [one, other] : {std::pair{left, right}, std::pair{right, left}}) {
    if (one != first || other == first) continue;
    const Expression& e = pool_[other];
    const bool in_table = e.operation == Operation::kLoad && pool_.IsConstant(e.a);  // the global offset table
    const bool fixed =
        in_table || (e.operation == Operation::kConstant && image_.HoldsData(static_cast<std::uint64_t>(e.value)));
    const bool through = e.operation == Operation::kLoad && pool_.Contains(other, first, true);
    state.path.compares_itself |= fixed || through;
  }
}

void Interpreter::ReadModifyWrite(const cs_insn& insn, State& state) {
  const cs_x86& x86 = insn.detail->x86;
  const cs_x86_op& target = x86.operands[0];
  const bool increment = insn.id == X86_INS_INC, decrement = insn.id == X86_INS_DEC;
  ExpressionId operand = increment   ? pool_.Constant(1)
                         : decrement ? pool_.Constant(-1)
                                     : Read(insn, x86.operands[1], state);
  if (insn.id == X86_INS_SUB && pool_.IsConstant(operand)) operand = pool_.Constant(-pool_[operand].value);
  if (target.type == X86_OP_MEM && pool_.IsConstant(operand) && insn.id != X86_INS_AND && insn.id != X86_INS_OR &&
      insn.id != X86_INS_XOR) {
    const RegisterName base = NameOf(target.mem.base);
    const std::int64_t delta = SignExtend(static_cast<std::uint64_t>(pool_[operand].value), target.size * 8);
    if (base.number >= 0 && target.mem.index == X86_REG_INVALID && target.mem.disp >= 0 &&
        target.mem.disp < kMaxPageField) {
      const ExpressionId page = state.registers[static_cast<std::size_t>(base.number)];
      state.path.counts.push_back(
          {insn.address, Address(insn, target, state), page, target.mem.disp, delta, target.size});
    }
  }
  const ExpressionId before = Read(insn, target, state);
  ExpressionId after = -1;
  switch (insn.id) {
    case X86_INS_AND:
      NoteMask(state, before, operand);
      if (pool_.IsConstant(operand, 1)) NoteTest(state, before);
      after = pool_.Binary(Operation::kAnd, before, operand);
      break;
    case X86_INS_OR:
      after = pool_.Binary(Operation::kOr, before, operand);
      break;
    case X86_INS_XOR:
      after = pool_.Binary(Operation::kXor, before, operand);
      break;
    case X86_INS_SUB:
      after = pool_.IsConstant(operand) ? pool_.Add(before, operand)
              : before == operand       ? pool_.Constant(0)
                                        : pool_.Other(before, operand);
      break;
    default:
      after = pool_.Add(before, operand);
      break;
  }
  Write(insn, target, after, state);
}

// Vector stores and string stores into a block that was popped: it is being zeroed (nothing else is written there so
// early).
void Interpreter::NoteFill(const cs_insn& insn, State& state) {
  const cs_x86& x86 = insn.detail->x86;
  if (x86.op_count == 0 || x86.operands[0].type != X86_OP_MEM) return;
  const bool vector = x86.op_count > 1 && x86.operands[1].type == X86_OP_REG && NameOf(x86.operands[1].reg).number < 0;
  if (!vector && x86.prefix[0] != X86_PREFIX_REP) return;
  const ExpressionId address = Address(insn, x86.operands[0], state);
  for (const ListOperation& list : state.path.lists) {
    if (!list.push && list.block == address) state.path.filled.push_back(address);
  }
}

void Interpreter::ExecuteData(const cs_insn& insn, State& state, std::vector<State>& forks) {
  const cs_x86& x86 = insn.detail->x86;
  const cs_x86_op* op = x86.operands;
  ExpressionId& rsp = state.registers[kRsp];
  switch (insn.id) {
    case X86_INS_MOV:
    case X86_INS_MOVABS:
    case X86_INS_MOVZX:
      Write(insn, op[0], Read(insn, op[1], state), state);
      return;
    case X86_INS_MOVSX:
    case X86_INS_MOVSXD: {
      const ExpressionId value = Read(insn, op[1], state);
      Write(insn, op[0], value, state);
      return;
    }
    case X86_INS_LEA: {
      cs_x86_op plain = op[1];
      plain.mem.segment = X86_REG_INVALID;
      Write(insn, op[0], Address(insn, plain, state), state);
      return;
    }
    case X86_INS_ADD:
    case X86_INS_SUB:
    case X86_INS_INC:
    case X86_INS_DEC:
    case X86_INS_AND:
    case X86_INS_OR:
    case X86_INS_XOR:
      ReadModifyWrite(insn, state);
      return;
    case X86_INS_TEST: {
      const ExpressionId left = Read(insn, op[0], state), right = Read(insn, op[1], state);
      NoteMask(state, left, right);
      if (left == right || pool_.IsConstant(right, 1)) NoteTest(state, left);
      return;
    }
    case X86_INS_CMP: {
      const ExpressionId left = Read(insn, op[0], state), right = Read(insn, op[1], state);
      if (pool_.IsConstant(right, 0)) NoteTest(state, left);
      NoteIdentity(state, left, right);
      return;
    }
    case X86_INS_NOP:
    case X86_INS_ENDBR64:
      return;
    case X86_INS_SHL:
    case X86_INS_SHR:
    case X86_INS_SAR: {
      const ExpressionId amount = x86.op_count > 1 ? Read(insn, op[1], state) : pool_.Constant(1);
      const Operation operation = insn.id == X86_INS_SHL ? Operation::kShiftLeft : Operation::kShiftRight;
      Write(insn, op[0], pool_.Binary(operation, Read(insn, op[0], state), amount), state);
      return;
    }
    case X86_INS_IMUL:
    case X86_INS_MUL:
      if (x86.op_count == 3) {
        Write(insn, op[0], pool_.Binary(Operation::kMultiply, Read(insn, op[1], state), Read(insn, op[2], state)),
              state);
      } else if (x86.op_count == 2) {
        Write(insn, op[0], pool_.Binary(Operation::kMultiply, Read(insn, op[0], state), Read(insn, op[1], state)),
              state);
      } else {
        const ExpressionId factor = Read(insn, op[0], state);
        state.registers[kRax] = pool_.Binary(Operation::kMultiply, state.registers[kRax], factor);
        state.registers[kRdx] = Unknown(insn.address, kRdx);
      }
      return;
    case X86_INS_PUSH:
      rsp = pool_.AddConstant(rsp, -8);
      std::erase_if(state.memory, [&](const auto& entry) { return entry.first == rsp; });
      state.memory.emplace_back(rsp, Read(insn, op[0], state));
      return;
    case X86_INS_POP: {
      const ExpressionId value = ReadMemory(rsp, 8, state);
      rsp = pool_.AddConstant(rsp, 8);
      Write(insn, op[0], value, state);
      return;
    }
    case X86_INS_LEAVE: {
      const ExpressionId frame = state.registers[kRbp];
      state.registers[kRbp] = ReadMemory(frame, 8, state);
      rsp = pool_.AddConstant(frame, 8);
      return;
    }
    case X86_INS_XCHG: {
      const ExpressionId first = Read(insn, op[0], state), second = Read(insn, op[1], state);
      Write(insn, op[0], second, state);
      Write(insn, op[1], first, state);
      return;
    }
    default:
      break;
  }
  if (std::strncmp(insn.mnemonic, "cmov", 4) == 0) {
    const ExpressionId moved = Read(insn, op[1], state), kept = Read(insn, op[0], state);
    if (moved == kept) return;
    State fork = state;
    Write(insn, op[0], moved, fork);
    forks.push_back(std::move(fork));
    return;
  }
  if (insn.id == X86_INS_CMPXCHG) state.path.exchanges = true;
  NoteFill(insn, state);
  // Whatever else it writes is not known.
  cs_regs read, written;
  std::uint8_t read_count = 0, written_count = 0;
  if (cs_regs_access(handle_, &insn, read, &read_count, written, &written_count) != CS_ERR_OK) return;
  for (int i = 0; i < written_count; ++i) {
    const RegisterName name = NameOf(written[i]);
    if (name.number >= 0 && name.number != kRsp)
      state.registers[static_cast<std::size_t>(name.number)] = Unknown(insn.address, name.number);
  }
}

}  // namespace leaktrace::hooks
