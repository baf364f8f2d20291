#include "analyzer/hooks/relocate.h"

#include <capstone/capstone.h>

#include <cstring>
#include <limits>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace leaktrace::hooks {
namespace {

constexpr std::size_t kLongestInstruction = 15;
constexpr std::uint8_t kShortJump = 0xeb, kNearJump = 0xe9, kTwoByte = 0x0f, kNearConditional = 0x80;

// Appends moved code; false where it is too long.
bool Append(Relocation& out, const void* bytes, unsigned size) {
  if (out.relocated + size > format::kMaxDisplacedBytes) return false;
  std::memcpy(out.bytes + out.relocated, bytes, size);
  out.relocated += size;
  return true;
}

// A displacement whose last byte but four is at `offset` of the moved code and that refers to `target`.
bool AddFixup(Relocation& out, unsigned offset, unsigned end, std::uint64_t address, std::uint64_t target) {
  const auto distance = static_cast<std::int64_t>(target - address);
  if (out.fixup_count == format::kMaxFixups || distance > std::numeric_limits<std::int32_t>::max() ||
      distance < std::numeric_limits<std::int32_t>::min()) {
    return false;
  }
  const auto value = static_cast<std::int32_t>(distance);
  std::memcpy(out.bytes + offset, &value, sizeof value);
  out.fixups[out.fixup_count++] = {static_cast<std::uint8_t>(offset), static_cast<std::uint8_t>(end)};
  return true;
}

bool IsRelativeBranch(csh handle, const cs_insn& insn) {
  return cs_insn_group(handle, &insn, CS_GRP_JUMP) && insn.detail->x86.op_count == 1 &&
         insn.detail->x86.operands[0].type == X86_OP_IMM;
}

absl::Status Move(csh handle, const cs_insn& insn, std::uint64_t address, Relocation& out) {
  const auto refuse = [&](std::string_view reason) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%#x: `%s %s` cannot be moved: %s", insn.address, insn.mnemonic, insn.op_str, reason));
  };
  const cs_x86& x86 = insn.detail->x86;
  if (insn.id == X86_INS_CALL) return refuse("a call would return into the moved code");
  if (insn.id == X86_INS_LOOP || insn.id == X86_INS_JRCXZ || insn.id == X86_INS_JECXZ)
    return refuse("it has no long form");
  if (IsRelativeBranch(handle, insn)) {
    std::uint8_t code[6] = {kNearJump};
    unsigned size = 5;
    if (insn.id != X86_INS_JMP) {
      const std::uint8_t condition = insn.size == 2 ? insn.bytes[0] & 0x0f : insn.bytes[1] & 0x0f;
      code[0] = kTwoByte, code[1] = static_cast<std::uint8_t>(kNearConditional | condition), size = 6;
      if (insn.size != 2 && insn.size != 6) return refuse("it has a prefix");
    } else if (insn.bytes[0] != kShortJump && insn.bytes[0] != kNearJump) {
      return refuse("it has a prefix");
    }
    const unsigned at = out.relocated;
    const auto target = static_cast<std::uint64_t>(x86.operands[0].imm);
    if (!Append(out, code, size) || !AddFixup(out, at + size - 4, at + size, address, target))
      return refuse("it is too long");
    return absl::OkStatus();
  }
  const unsigned at = out.relocated;
  if (!Append(out, insn.bytes, insn.size)) return refuse("the code is too long");
  for (int i = 0; i < x86.op_count; ++i) {
    const cs_x86_op& operand = x86.operands[i];
    if (operand.type != X86_OP_MEM || operand.mem.base != X86_REG_RIP) continue;
    const std::uint64_t target = insn.address + insn.size + static_cast<std::uint64_t>(operand.mem.disp);
    if (!AddFixup(out, at + x86.encoding.disp_offset, at + insn.size, address, target))
      return refuse("its operand is too far");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Relocation> RelocatePrologue(std::uint64_t address, absl::Span<const std::uint8_t> code) {
  csh handle;
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
    return absl::InternalError("the disassembler does not start");
  const absl::Cleanup close = [&] { cs_close(&handle); };
  cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
  Relocation out;
  bool ended = false;
  while (out.displaced < kJumpBytes) {
    cs_insn* insn = nullptr;
    const std::uint64_t at = address + out.displaced;
    if (ended) return absl::FailedPreconditionError(absl::StrFormat("%#x: the function ends before the jump does", at));
    if (out.displaced >= code.size() ||
        cs_disasm(handle, code.data() + out.displaced, std::min(code.size() - out.displaced, kLongestInstruction), at,
                  1, &insn) == 0) {
      return absl::FailedPreconditionError(absl::StrFormat("%#x: no instruction", at));
    }
    const absl::Cleanup release = [&] { cs_free(insn, 1); };
    const absl::Status moved = Move(handle, *insn, address, out);
    if (!moved.ok()) return moved;
    ended = insn->id == X86_INS_JMP || insn->id == X86_INS_RET || insn->id == X86_INS_UD2 || insn->id == X86_INS_INT3;
    out.displaced += insn->size;
  }
  if (out.displaced > format::kMaxDisplacedBytes) return absl::FailedPreconditionError("the instructions are too long");
  return out;
}

bool HasBranchInto(std::uint64_t address, absl::Span<const std::uint8_t> code, std::uint64_t first, std::uint64_t end) {
  csh handle;
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return true;
  cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
  cs_insn* insn = cs_malloc(handle);
  const absl::Cleanup close = [&] {
    cs_free(insn, 1);
    cs_close(&handle);
  };
  const std::uint8_t* bytes = code.data();
  std::size_t left = code.size();
  while (left > 0) {
    if (!cs_disasm_iter(handle, &bytes, &left, &address, insn)) {
      ++bytes, --left, ++address;
      continue;
    }
    if (!IsRelativeBranch(handle, *insn)) continue;
    const auto target = static_cast<std::uint64_t>(insn->detail->x86.operands[0].imm);
    if (target > first && target < end) return true;
  }
  return false;
}

}  // namespace leaktrace::hooks
