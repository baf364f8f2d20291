#include "tests/fuzz/trace_reader_fuzz.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "analyzer/read/trace_reader.h"
#include "tests/trace/example_trace.h"

namespace leaktrace::read {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::vector<Bytes> Corpus() {
  std::vector<Bytes> corpus;
  for (const auto& entry : std::filesystem::directory_iterator(LEAKTRACE_FUZZ_CORPUS "/trace_reader")) {
    std::ifstream file(entry.path(), std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

// A few changes of the kinds that disks, copies and attackers make.
Bytes Damage(const Bytes& seed, std::mt19937& random) {
  Bytes bytes = seed;
  for (unsigned change = 0, changes = 1 + random() % 4; change < changes && !bytes.empty(); ++change) {
    const std::size_t at = random() % bytes.size();
    switch (random() % 6) {
      case 0:
        bytes[at] ^= static_cast<std::uint8_t>(1u << random() % 8);
        break;
      case 1:
        bytes[at] = static_cast<std::uint8_t>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(bytes.begin() + static_cast<long>(at),
                    bytes.begin() + static_cast<long>(std::min(bytes.size(), at + random() % 64)));
        break;
      case 4: {
        const Bytes piece(bytes.begin() + static_cast<long>(at),
                          bytes.begin() + static_cast<long>(std::min(bytes.size(), at + random() % 256)));
        const std::size_t to = random() % bytes.size();
        bytes.insert(bytes.begin() + static_cast<long>(to), piece.begin(), piece.end());
        break;
      }
      default:
        std::fill_n(bytes.begin() + static_cast<long>(at), std::min<std::size_t>(8, bytes.size() - at), 0xff);
        break;
    }
  }
  return bytes;
}

TEST(TraceReaderFuzz, CorpusIsThere) { EXPECT_GE(Corpus().size(), 2u); }

TEST(TraceReaderFuzz, SurvivesDamagedTraces) {
  std::mt19937 random(20240601);
  std::vector<Bytes> seeds = Corpus();
  seeds.push_back(trace::ExampleTrace());
  for (const Bytes& seed : seeds) {
    FuzzTraceReader(seed.data(), seed.size());
    for (int round = 0; round < 2000; ++round) {
      const Bytes damaged = Damage(seed, random);
      FuzzTraceReader(damaged.data(), damaged.size());
    }
  }
}

TEST(TraceReaderFuzz, SurvivesRandomBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    Bytes bytes(random() % 4096);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    FuzzTraceReader(bytes.data(), bytes.size());
  }
}

// Every prefix of a trace is read, and all but what is cut off.
TEST(TraceReaderFuzz, SurvivesTruncationAtEveryByte) {
  const Bytes bytes = trace::ExampleTrace();
  for (std::size_t size = 0; size < bytes.size(); ++size) FuzzTraceReader(bytes.data(), size);
}

}  // namespace
}  // namespace leaktrace::read
