#include "preload/session/options.h"

#include "preload/base/memory.h"

namespace leaktrace::preload {
namespace {

using format::Option;

// A number with an optional suffix K or M (1024, 1024 * 1024), within [low, high].
bool ReadNumber(const char* text, std::uint64_t low, std::uint64_t high, std::uint32_t& number) {
  std::uint64_t value = 0;
  const char* at = text;
  for (; *at >= '0' && *at <= '9'; ++at) {
    value = value * 10 + static_cast<std::uint64_t>(*at - '0');
    if (value > high) return false;
  }
  if (at == text) return false;
  if (*at == 'K' || *at == 'k') {
    value <<= 10;
    ++at;
  } else if (*at == 'M' || *at == 'm') {
    value <<= 20;
    ++at;
  }
  if (*at != '\0' || value < low || value > high) return false;
  number = static_cast<std::uint32_t>(value);
  return true;
}

bool ReadSwitch(const char* text, bool& value) {
  if (text[0] == '\0' || text[1] != '\0' || (text[0] != '0' && text[0] != '1')) return false;
  value = text[0] == '1';
  return true;
}

bool ReadSwitch(const char* text, std::uint32_t& value) {
  bool on = false;
  if (!ReadSwitch(text, on)) return false;
  value = on ? 1 : 0;
  return true;
}

// The index of `text` among the names is the enumerator's value.
template <typename Enum, std::size_t kNames>
bool ReadName(const char* text, const char* const (&names)[kNames], Enum& value) {
  for (std::size_t i = 0; i < kNames; ++i) {
    if (Equal(text, names[i])) {
      value = static_cast<Enum>(i);
      return true;
    }
  }
  return false;
}

bool ReadText(const char* text, const char*& value) {
  value = text;
  return text[0] != '\0';
}

bool ReadOption(Option option, const char* text, Options& options) {
  switch (option) {
    case Option::kEnabled:
      return ReadSwitch(text, options.enabled);
    case Option::kOutput:
      return ReadText(text, options.output);
    case Option::kExecutables:
      options.executables = text;
      return true;
    case Option::kChildren:
      return ReadSwitch(text, options.children);
    case Option::kUnwind:
      return ReadName(text, {"rows", "fp", "libunwind"}, options.session.unwinder);
    case Option::kDepth:
      return ReadNumber(text, 1, format::kMaxMaxDepth, options.session.max_depth);
    case Option::kOverflow:
      return ReadName(text, {"wait", "drop"}, options.session.overflow);
    case Option::kRing:
      return ReadNumber(text, format::kMinRingBytes, format::kMaxRingBytes, options.session.ring_bytes) &&
             (options.session.ring_bytes & (options.session.ring_bytes - 1)) == 0;
    case Option::kJs:
      return ReadName(text, {"names", "off", "exact"}, options.session.js);
    case Option::kHooks:
      return ReadSwitch(text, options.session.hooks);
    case Option::kKeepLibpas:
      return ReadSwitch(text, options.session.keep_libpas);
    case Option::kRecorder:
      return ReadText(text, options.recorder);
    case Option::kVerbose:
      return ReadSwitch(text, options.verbose);
    case Option::kFirst:
      return ReadText(text, options.first);
    case Option::kCount:
      break;
  }
  return false;
}

}  // namespace

WrongOption ReadOptions(const char* const* environment, Options& options) {
  WrongOption wrong;
  for (; *environment != nullptr; ++environment) {
    if (After(*environment, "LEAKTRACE") == nullptr) continue;
    for (const format::OptionDescription& description : format::kOptions) {
      const char* const rest = After(*environment, description.name);
      if (rest == nullptr || *rest != '=') continue;
      if (!ReadOption(description.option, rest + 1, options) && wrong.variable == nullptr) {
        wrong = {*environment, description.values};
      }
    }
  }
  return wrong;
}

}  // namespace leaktrace::preload
