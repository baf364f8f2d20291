// What the fuzzer and the tests call with bytes that may be a trace.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leaktrace::read {

// Reads the bytes as they are, and once more with the checksums of its chunks made right, so that damage reaches what
// lies behind them. Aborts where the reader breaks a promise of trace_reader.h.
void FuzzTraceReader(const std::uint8_t* data, std::size_t size);

}  // namespace leaktrace::read
