// A small trace with a chunk of every kind, as bytes: for tests of those that read traces, and as the seed of their
// fuzzing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace leaktrace::trace {

// 3 frames, 2 kinds, 2 blocks of events: 8 events, 4 allocations, 2 of them live at the end (numbers 1 and 3).
[[nodiscard]] std::vector<std::uint8_t> ExampleTrace();

// Where the chunks of a trace begin.
[[nodiscard]] std::vector<std::size_t> ChunkOffsets(const std::vector<std::uint8_t>& bytes);

// The trace with this version in every chunk's header.
[[nodiscard]] std::vector<std::uint8_t> WithVersion(std::vector<std::uint8_t> bytes, std::uint16_t version);

}  // namespace leaktrace::trace
