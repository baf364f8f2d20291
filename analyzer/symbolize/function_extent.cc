#include "analyzer/symbolize/function_extent.h"

#include <capstone/capstone.h>

#include <algorithm>
#include <utility>

namespace leaktrace::symbolize {
namespace {

constexpr std::uint64_t kMaxFunctionBytes = 256 << 10;
constexpr std::uint64_t kMaxWayBack = 64 << 10;
constexpr std::uint8_t kInt3 = 0xcc;
constexpr std::uint8_t kFrameSetup[] = {0x55, 0x48, 0x89, 0xe5};  // push %rbp; mov %rsp, %rbp

enum class Flow { kNext, kBranch, kJump, kIndirectJump, kEnd };

struct Instruction {
  std::uint64_t address = 0;
  std::size_t bytes = 0;
  Flow flow = Flow::kNext;
  std::uint64_t target = 0;  // of kBranch and kJump
};

// The bytes after prefixes that do not change what a branch does.
absl::Span<const std::uint8_t> Opcode(absl::Span<const std::uint8_t> bytes) {
  std::size_t i = 0;
  while (i + 1 < bytes.size() && (bytes[i] == 0x66 || bytes[i] == 0xf2 || bytes[i] == 0xf3 || bytes[i] == 0x3e ||
                                  bytes[i] == 0x2e || (bytes[i] & 0xf0) == 0x40)) {
    ++i;
  }
  return bytes.subspan(i);
}

// What an instruction does to the flow; its target is the displacement, which is its last one or four bytes.
void Classify(absl::Span<const std::uint8_t> bytes, Instruction& instruction) {
  const absl::Span<const std::uint8_t> code = Opcode(bytes);
  const auto target = [&](std::size_t size) {
    std::int64_t displacement = 0;
    if (size == 1) {
      displacement = static_cast<std::int8_t>(bytes[bytes.size() - 1]);
    } else {
      std::uint32_t value = 0;
      for (std::size_t i = 0; i < 4; ++i) value |= std::uint32_t{bytes[bytes.size() - 4 + i]} << (8 * i);
      displacement = static_cast<std::int32_t>(value);
    }
    instruction.target = instruction.address + bytes.size() + static_cast<std::uint64_t>(displacement);
  };
  const std::uint8_t first = code[0];
  const std::uint8_t second = code.size() > 1 ? code[1] : 0;
  if (first == 0xeb || first == 0xe9) {
    instruction.flow = Flow::kJump;
    target(first == 0xeb ? 1 : 4);
  } else if ((first & 0xf0) == 0x70 || (first >= 0xe0 && first <= 0xe3)) {
    instruction.flow = Flow::kBranch;
    target(1);
  } else if (first == 0x0f && (second & 0xf0) == 0x80) {
    instruction.flow = Flow::kBranch;
    target(4);
  } else if (first == 0xff && ((second >> 3 & 7) == 4 || (second >> 3 & 7) == 5)) {
    instruction.flow = Flow::kIndirectJump;
  } else if (first == 0xc3 || first == 0xc2 || first == kInt3 || first == 0xf4 ||
             (first == 0x0f && (second == 0x0b || second == 0xb9 || second == 0xff))) {
    instruction.flow = Flow::kEnd;  // ret, int3, hlt, ud2, ud1, ud0
  }
}

}  // namespace

class FunctionExtents::Decoder {
 public:
  Decoder() {
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle_) == CS_ERR_OK) instruction_ = cs_malloc(handle_);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() {
    if (instruction_ != nullptr) cs_free(instruction_, 1);
    cs_close(&handle_);
  }

  // False where the bytes are no instruction.
  bool Next(absl::Span<const std::uint8_t> code, std::uint64_t address, Instruction& out) {
    const std::uint8_t* bytes = code.data();
    std::size_t size = std::min<std::size_t>(code.size(), 15);
    std::uint64_t at = address;
    if (instruction_ == nullptr || size == 0 || !cs_disasm_iter(handle_, &bytes, &size, &at, instruction_))
      return false;
    out = {address, instruction_->size, Flow::kNext, 0};
    Classify(code.subspan(0, out.bytes), out);
    return true;
  }

 private:
  csh handle_ = 0;
  cs_insn* instruction_ = nullptr;
};

FunctionExtents::FunctionExtents(const CodeImage& image, const CodeReferences& references)
    : image_(image), references_(references), decoder_(std::make_unique<Decoder>()) {}
FunctionExtents::~FunctionExtents() = default;

bool FunctionExtents::SetsUpFrame(std::uint64_t address) const {
  const auto code = image_.CodeAt(address);
  return code.size() >= std::size(kFrameSetup) &&
         std::equal(std::begin(kFrameSetup), std::end(kFrameSetup), code.begin());
}

bool FunctionExtents::FollowsPadding(std::uint64_t address) const {
  const auto before = image_.CodeAt(address - 1);
  return !before.empty() && before[0] == kInt3;
}

bool FunctionExtents::IsStart(std::uint64_t address) const {
  if (SetsUpFrame(address)) return true;
  return address % 16 == 0 && references_.IsCalled(address);
}

const FunctionExtent& FunctionExtents::From(std::uint64_t begin) {
  std::unique_ptr<FunctionExtent>& extent = extents_[begin];
  if (extent == nullptr) extent = std::make_unique<FunctionExtent>(Decode(begin));
  return *extent;
}

const FunctionExtent* FunctionExtents::Around(std::uint64_t address) {
  const std::uint64_t lowest = address - std::min(kMaxWayBack, address);
  for (std::uint64_t begin = address; begin > lowest && image_.IsCode(begin); --begin) {
    if (!IsStart(begin)) continue;
    const FunctionExtent& extent = From(begin);
    return extent.Holds(address) ? &extent : nullptr;
  }
  return nullptr;
}

const FunctionExtent* FunctionExtents::WithOperand(std::uint64_t site) {
  const FunctionExtent* function = Around(site);
  if (function == nullptr) return nullptr;
  if (function != decoded_) {
    decoded_ = function;
    boundaries_ = {function->begin};
    Instruction instruction;
    for (std::uint64_t at = function->begin; at < function->end; at += instruction.bytes) {
      if (!decoder_->Next(image_.CodeAt(at), at, instruction)) break;
      boundaries_.push_back(at + instruction.bytes);
    }
  }
  // The four bytes end an instruction that began before them.
  const auto end = std::lower_bound(boundaries_.begin(), boundaries_.end(), site + 4);
  const bool ends_one = end != boundaries_.end() && end != boundaries_.begin() && *end == site + 4 && *(end - 1) < site;
  return ends_one ? function : nullptr;
}

FunctionExtent FunctionExtents::Decode(std::uint64_t begin) {
  FunctionExtent extent{begin, begin, {}};
  // A function without a frame at its beginning may set one up on a path that needs it: only alignment or a call tell
  // that from the beginning of another function.
  const bool frame_from_begin = SetsUpFrame(begin);
  const auto starts_other = [&](std::uint64_t address) {
    if (address == begin) return false;
    if (frame_from_begin) return IsStart(address);
    return references_.IsCalled(address) || (address % 16 == 0 && SetsUpFrame(address));
  };
  std::vector<std::uint64_t> jumps;
  std::uint64_t furthest = begin;  // of the places in the function that a branch leads to
  bool switches = false;           // it has jumps to places that are not known
  std::uint64_t at = begin;
  const std::uint64_t limit = begin + kMaxFunctionBytes;
  while (at < limit && !starts_other(at)) {
    Instruction instruction;
    if (!decoder_->Next(image_.CodeAt(at), at, instruction)) break;
    at += instruction.bytes;
    extent.end = at;
    const bool leads_on = instruction.target > at && instruction.target < limit && !starts_other(instruction.target);
    if (instruction.flow == Flow::kNext) continue;
    if (instruction.flow == Flow::kBranch) {
      if (leads_on) furthest = std::max(furthest, instruction.target);
      continue;
    }
    if (instruction.flow == Flow::kJump) {
      // What follows padding is the beginning of a function, even if nothing else tells so.
      if (leads_on && !FollowsPadding(instruction.target)) {
        furthest = std::max(furthest, instruction.target);
      } else {
        jumps.push_back(instruction.target);
      }
    }
    switches |= instruction.flow == Flow::kIndirectJump;
    // Nothing falls through to what follows: it is of the function only if a branch leads to it or beyond, or a switch
    // may.
    const auto code = image_.CodeAt(at);
    if (code.empty()) break;
    if (at > furthest && (!switches || code[0] == kInt3)) break;
  }
  for (const std::uint64_t target : jumps) {
    if (!extent.Holds(target)) extent.tail_jumps.push_back(target);
  }
  return extent;
}

}  // namespace leaktrace::symbolize
