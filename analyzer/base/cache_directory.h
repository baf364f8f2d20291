// Where tables that are costly to make are kept between runs, by build-id, and how files are written there.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace leaktrace {

// $XDG_CACHE_HOME/leaktrace, else $HOME/.cache/leaktrace; "" where neither is an absolute path (then nothing is
// cached).
[[nodiscard]] std::string DefaultCacheDirectory();

// Replaces `path` by the concatenation of `parts`: a reader sees the old file or the new one, whole, also after a crash
// of the writer. Creates the folder of `path` (mode 0700) and its parents.
absl::Status WriteFileAtomically(const std::string& path, absl::Span<const absl::string_view> parts);

}  // namespace leaktrace
