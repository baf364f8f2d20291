#include "tests/report/sample_trace.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>

#include "analyzer/model/load.h"
#include "tests/model/synthetic_trace.h"

namespace leaktrace::report {

using ::leaktrace::testing::SyntheticTrace;

std::string WriteSampleTrace(const std::string& name) {
  constexpr std::uint64_t kSecond = SyntheticTrace::kSecond;
  SyntheticTrace trace(::testing::TempDir() + "/" + name + ".ltrace");
  const std::uint32_t main = trace.Stack({0x10, 0x20});
  const std::uint32_t router = trace.Frame(main, format::FrameKind::kJit, 0x7f0000002000);
  const std::uint32_t handler = trace.Frame(router, format::FrameKind::kJit, 0x7f0000001000);
  const std::uint32_t other_caller = trace.Frame(main, format::FrameKind::kJit, 0x7f0000003000);
  const std::uint32_t same_handler = trace.Frame(other_caller, format::FrameKind::kJit, 0x7f0000001000);
  trace.JavaScript(handler, "handleRequest", "/app/src/server.js", 42);
  trace.JavaScript(same_handler, "handleRequest", "/app/src/server.js", 42);
  trace.JavaScript(router, "route", "/app/node_modules/router/index.js", 7);
  trace.JavaScript(other_caller, "retry", "/app/src/retry.js", 3);
  const auto native = [&](std::uint32_t caller) {
    return trace.Frame(trace.Frame(caller, format::FrameKind::kNative, 0x405000), format::FrameKind::kNative, 0x406000);
  };
  const std::uint32_t route = trace.Route("GET /users");
  const auto receive = format::RequestPhase::kReceive;
  const std::uint32_t leak = trace.Kind(native(handler), 338, format::EntryPoint::kMalloc, receive, route);
  const std::uint32_t leak_again = trace.Kind(native(same_handler), 338, format::EntryPoint::kMalloc, receive, route);
  const std::uint32_t startup = trace.Kind(trace.Stack({0x10, 0x9000}), 4096, format::EntryPoint::kCalloc);
  const std::uint32_t passing = trace.Kind(trace.Stack({0x10, 0x20, 0x7000}), 512, format::EntryPoint::kNew);

  for (int i = 0; i < 300; ++i) trace.Allocate(startup);
  trace.Map(trace.MappingKind(trace.Stack({0x10, 0x33})), 0x7f1000000000, 64 << 20);
  trace.Memory(60 << 20, 300 * 4096);
  trace.JsHeap(8 << 20);
  for (std::uint64_t i = 0; i < kSampleRequests; ++i) {
    trace.At(kSecond + i * 2 * SyntheticTrace::kMillisecond);
    trace.Request();
    for (int j = 0; j < 12; ++j) trace.Allocate(j < 9 ? leak : leak_again);
    trace.Free(trace.Allocate(passing));
    if (i % 250 == 0) {
      trace.Memory((62 << 20) + i * 5000, 300 * 4096 + i * 12 * 338);
      trace.JsHeap((8 << 20) + (i * 300) % 4'000'000);
    }
  }
  trace.At(25 * kSecond);
  trace.Memory((62 << 20) + kSampleRequests * 5000, 300 * 4096 + std::uint64_t{kSampleRequests} * 12 * 338);
  trace.Counters({{.name = "libc", .allocations = 130'300, .frees = 10'000}}, /*dropped=*/0, /*truncated=*/12);
  trace.Finish(/*end_kind=*/2, /*status=*/15);
  return trace.path();
}

Sample LoadSample(const std::string& path) {
  absl::StatusOr<model::TraceModel> model = model::LoadTrace(path);
  EXPECT_TRUE(model.ok()) << model.status().message();
  Sample sample;
  sample.model = std::make_unique<model::TraceModel>(*std::move(model));
  auto names = Names::Make(*sample.model, {});
  EXPECT_TRUE(names.ok());
  sample.names = *std::move(names);
  return sample;
}

}  // namespace leaktrace::report
