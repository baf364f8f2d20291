// What a hooked call costs its caller, by stack depth: run it with and without the library (tests/bench/bench.cc does)
// and compare.
#include <benchmark/benchmark.h>

#include <cstdlib>

namespace {

template <int kDepth>
[[gnu::noinline]] void* AllocateAt(std::size_t size) {
  void* block;
  if constexpr (kDepth == 0) {
    block = std::malloc(size);
  } else {
    block = AllocateAt<kDepth - 1>(size);
  }
  benchmark::DoNotOptimize(block);  // after the call: it is no tail call
  return block;
}

template <int kDepth>
void MallocFree(benchmark::State& state) {
  for (auto _ : state) std::free(AllocateAt<kDepth>(64));
}

void Realloc(benchmark::State& state) {
  void* block = std::malloc(64);
  std::size_t size = 64;
  for (auto _ : state) {
    size ^= 64 ^ 72;
    block = std::realloc(block, size);
    benchmark::DoNotOptimize(block);
  }
  std::free(block);
}

BENCHMARK(MallocFree<1>);
BENCHMARK(MallocFree<10>);
BENCHMARK(MallocFree<40>);
BENCHMARK(MallocFree<10>)->Threads(2);
BENCHMARK(Realloc);

}  // namespace

BENCHMARK_MAIN();
