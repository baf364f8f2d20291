#include "tests/fuzz/trace_reader_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  leaktrace::read::FuzzTraceReader(data, size);
  return 0;
}
