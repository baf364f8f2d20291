// Puts names and source lines into a trace, so that it can be read where neither the runtime nor the sources are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "analyzer/symbolize/symbolizer.h"

namespace leaktrace::symbolize {

struct BundledFrame {
  std::uint32_t frame = 0;
  absl::Span<const Line> lines;
};

// Copies the trace at `from` to `to` with the chunks of symbols in place of those that it has; replaces `to` as a
// whole, which may be `from` itself. A trace whose last chunk is not whole is copied up to it. Errors, one line that
// says what to do: one of the files cannot be used; a chunk within `from` is damaged.
absl::Status WriteBundle(const std::string& from, const std::string& to, absl::Span<const BundledFrame> frames);

}  // namespace leaktrace::symbolize
