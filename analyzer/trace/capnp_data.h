// Between Cap'n Proto's Data and spans of bytes.
#pragma once

#include <capnp/blob.h>

#include <cstdint>

#include "absl/types/span.h"

namespace leaktrace::trace {

inline capnp::Data::Reader AsData(absl::Span<const std::uint8_t> bytes) { return {bytes.data(), bytes.size()}; }
inline absl::Span<const std::uint8_t> AsSpan(capnp::Data::Reader data) { return {data.begin(), data.size()}; }

}  // namespace leaktrace::trace
