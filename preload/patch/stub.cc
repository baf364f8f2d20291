#include "preload/patch/stub.h"

#include "preload/base/memory.h"

namespace leaktrace::preload {
namespace {

constexpr std::uint8_t kInt3 = 0xcc, kNearJump = 0xe9, kPush32 = 0x68;
constexpr std::size_t kNearJumpBytes = 5;
constexpr std::uint8_t kOverRedZone[] = {0x48, 0x8d, 0x64, 0x24, 0x80};                        // lea -128(%rsp), %rsp
constexpr std::uint8_t kBackOverRedZone[] = {0x48, 0x8d, 0xa4, 0x24, 0x88, 0x00, 0x00, 0x00};  // lea 136(%rsp), %rsp
constexpr std::size_t kThunkSlot = kStubBytes - 8;  // the thunk's address lies at the stub's end

class Writer {
 public:
  explicit Writer(std::uint8_t* at) : begin_(at), at_(at) {}
  [[nodiscard]] std::uint8_t* at() const { return at_; }
  void Byte(std::uint8_t byte) { *at_++ = byte; }
  void Word(std::int32_t word) { Bytes(&word, sizeof word); }
  void Bytes(const void* bytes, std::size_t count) {
    Copy(at_, bytes, count);
    at_ += count;
  }
  void Jump(std::uintptr_t target) {
    Byte(kNearJump);
    Word(static_cast<std::int32_t>(target - (reinterpret_cast<std::uintptr_t>(at_) + 4)));
  }
  // An indirect jump (extension 4) or call (2) through the slot at the stub's end.
  void ThroughSlot(std::uint8_t modrm) {
    Byte(0xff);
    Byte(modrm);
    Word(static_cast<std::int32_t>(begin_ + kThunkSlot - (at_ + 4)));
  }

 private:
  std::uint8_t* begin_;
  std::uint8_t* at_;
};

constexpr std::uint8_t kJumpThrough = 0x25, kCallThrough = 0x15;

bool IsSite(format::HookRole role) {
  return role == format::HookRole::kAllocateSite || role == format::HookRole::kFreeSite;
}

void WriteRelocated(const format::HookEntry& entry, std::uintptr_t address, Writer& writer) {
  std::uint8_t* const code = writer.at();
  writer.Bytes(entry.relocated, entry.relocated_bytes);
  for (unsigned i = 0; i < entry.fixup_count; ++i) {
    std::int32_t value;
    Copy(&value, code + entry.fixups[i].offset, sizeof value);
    value += static_cast<std::int32_t>(address - (reinterpret_cast<std::uintptr_t>(code) + entry.fixups[i].end));
    Copy(code + entry.fixups[i].offset, &value, sizeof value);
  }
  writer.Jump(address + entry.displaced_bytes);
}

}  // namespace

bool IsUsable(const format::HookEntry& entry) {
  if (ThunkOf(entry.role) == nullptr || entry.displaced_bytes < kNearJumpBytes ||
      entry.displaced_bytes > format::kMaxDisplacedBytes || entry.relocated_bytes > format::kMaxDisplacedBytes ||
      entry.fixup_count > format::kMaxFixups) {
    return false;
  }
  for (unsigned i = 0; i < entry.fixup_count; ++i) {
    if (entry.fixups[i].offset + 4u > entry.relocated_bytes || entry.fixups[i].end > entry.relocated_bytes)
      return false;
  }
  const auto within = [](std::uint8_t number, unsigned limit) {
    return number < limit || number == format::kNoRegister;
  };
  if (IsSite(entry.role)) return entry.pointer_register < 16 && entry.heap_register < 16;
  for (const std::uint8_t number :
       {entry.size_register, entry.count_register, entry.pointer_register, entry.heap_register, entry.out_register}) {
    if (!within(number, kArguments)) return false;
  }
  switch (entry.role) {
    case format::HookRole::kAllocate:
      return entry.size_register < kArguments;
    case format::HookRole::kReallocate:
      return entry.size_register < kArguments && entry.pointer_register < kArguments;
    case format::HookRole::kPosixMemalign:
      return entry.size_register < kArguments && entry.out_register < kArguments;
    case format::HookRole::kFree:
      return entry.pointer_register < kArguments;
    default:
      return entry.heap_register < kArguments;
  }
}

AnyFunction BuildStub(const format::HookEntry& entry, std::uintptr_t address, std::uint32_t index, std::uint8_t* stub) {
  const bool site = IsSite(entry.role);
  __builtin_memset(stub, kInt3, kStubBytes);
  const auto thunk = reinterpret_cast<std::uintptr_t>(ThunkOf(entry.role));
  Copy(stub + kThunkSlot, &thunk, sizeof thunk);
  Writer writer(stub);
  if (site) writer.Bytes(kOverRedZone, sizeof kOverRedZone);
  writer.Byte(kPush32);
  writer.Word(static_cast<std::int32_t>(index));
  writer.ThroughSlot(site ? kCallThrough : kJumpThrough);
  if (site) writer.Bytes(kBackOverRedZone, sizeof kBackOverRedZone);
  const std::uint8_t* const original = writer.at();
  WriteRelocated(entry, address, writer);
  return site ? nullptr : reinterpret_cast<AnyFunction>(reinterpret_cast<std::uintptr_t>(original));
}

void BuildJump(const std::uint8_t* at, const std::uint8_t* target, std::size_t count, std::uint8_t* bytes) {
  __builtin_memset(bytes, kInt3, count);
  bytes[0] = kNearJump;
  const auto distance = static_cast<std::int32_t>(reinterpret_cast<std::uintptr_t>(target) -
                                                  (reinterpret_cast<std::uintptr_t>(at) + kNearJumpBytes));
  Copy(bytes + 1, &distance, sizeof distance);
}

}  // namespace leaktrace::preload
