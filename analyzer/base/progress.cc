#include "analyzer/base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzer/base/terminal.h"

namespace leaktrace {
namespace {

constexpr auto kDelay = std::chrono::seconds(1);
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr std::size_t kBarWidth = 24;

}  // namespace

Progress::Progress(std::string what)
    : what_(Printable(what)), terminal_(isatty(STDERR_FILENO) == 1), start_(Clock::now()), last_(start_) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void Progress::Update(std::uint64_t done, std::uint64_t total) {
  if (!terminal_ || total == 0) return;
  const Clock::time_point now = Clock::now();
  if (now - start_ < kDelay || now - last_ < kInterval) return;
  last_ = now;
  drawn_ = true;
  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<std::size_t>(share * kBarWidth);
  const Terminal terminal = DescribeTerminal(STDERR_FILENO, ColourChoice::kAuto);
  const std::string bar = absl::StrCat(std::string(filled, '='), std::string(kBarWidth - filled, ' '));
  const std::string line = absl::StrFormat("[%s] %3.0f %%  %s", bar, share * 100, what_);
  std::fprintf(stderr, "\r%s\x1b[K", ElideEnd(line, terminal.width - 1, terminal.unicode).c_str());
}

}  // namespace leaktrace
