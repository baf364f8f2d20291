#include "analyzer/report/sites.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/model/synthetic_trace.h"
#include "tests/report/sample_trace.h"

namespace leaktrace::report {
namespace {

using ::leaktrace::testing::SyntheticTrace;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(SitesTest, TheSameFunctionsOutToJavaScriptAreOneSite) {
  const Sample sample = LoadSample(WriteSampleTrace("sites_group"));
  const std::vector<Site> sites = MakeSites(*sample.model, *sample.names, {});
  ASSERT_THAT(sites, SizeIs(2));
  EXPECT_EQ(sites[0].name, "handleRequest");
  EXPECT_EQ(sites[0].blocks, 12u * kSampleRequests);
  EXPECT_EQ(sites[0].bytes, 338u * 12 * kSampleRequests);
  EXPECT_EQ(sites[0].stacks, 2u);
  EXPECT_EQ(sites[0].phase_blocks, 12u * kSampleRequests);
  ASSERT_TRUE(sites[0].run_phase.has_value());
  EXPECT_EQ(sample.model->run_phases[*sites[0].run_phase].name, "load");
  EXPECT_EQ(sites[1].bytes, 300u * 4096);
}

TEST(SitesTest, EachStackByItself) {
  const Sample sample = LoadSample(WriteSampleTrace("sites_stack"));
  const std::vector<Site> sites = MakeSites(*sample.model, *sample.names, {.group = Group::kStack, .filters = {}});
  ASSERT_THAT(sites, SizeIs(3));
  EXPECT_EQ(sites[0].blocks, 9u * kSampleRequests);
  EXPECT_EQ(sites[1].blocks, 3u * kSampleRequests);
}

TEST(SitesTest, Sorts) {
  const Sample sample = LoadSample(WriteSampleTrace("sites_sort"));
  const std::vector<Site> by_allocations =
      MakeSites(*sample.model, *sample.names, {.sort = Sort::kAllocations, .filters = {}});
  ASSERT_THAT(by_allocations, SizeIs(3));  // what was freed counts too
  EXPECT_EQ(by_allocations[0].allocations, 12u * kSampleRequests);
  EXPECT_EQ(by_allocations[1].allocations, 1u * kSampleRequests);
  EXPECT_EQ(by_allocations[2].allocations, 300u);
  const std::vector<Site> by_blocks = MakeSites(*sample.model, *sample.names, {.sort = Sort::kBlocks, .filters = {}});
  EXPECT_THAT(by_blocks, SizeIs(2));
  const std::vector<Site> by_peak = MakeSites(*sample.model, *sample.names, {.sort = Sort::kPeak, .filters = {}});
  EXPECT_EQ(by_peak[0].peak_blocks, 12u * kSampleRequests);
}

TEST(SitesTest, MappingsAreApart) {
  const Sample sample = LoadSample(WriteSampleTrace("sites_mappings"));
  const std::vector<Site> sites = MakeSites(*sample.model, *sample.names, {.mappings = true, .filters = {}});
  ASSERT_THAT(sites, SizeIs(1));
  EXPECT_EQ(sites[0].bytes, 64u << 20);
  EXPECT_EQ(sites[0].blocks, 1u);
}

TEST(SitesTest, Filters) {
  const Sample sample = LoadSample(WriteSampleTrace("sites_filter"));
  const auto count = [&](const std::vector<std::string>& filters) {
    return SumSites(MakeSites(*sample.model, *sample.names, {.filters = filters})).blocks;
  };
  EXPECT_EQ(count({"HANDLErequest"}), 12u * kSampleRequests);
  EXPECT_EQ(count({"node_modules"}), 9u * kSampleRequests);
  EXPECT_EQ(count({"!node_modules"}), 3u * kSampleRequests + 300);
  EXPECT_EQ(count({"handle", "retry.js"}), 3u * kSampleRequests);
  EXPECT_EQ(count({"request:receive"}), 12u * kSampleRequests);
  EXPECT_EQ(count({"route:/users"}), 12u * kSampleRequests);
  EXPECT_EQ(count({"!route:/users"}), 300u);
  EXPECT_EQ(count({"allocator:libc"}), 12u * kSampleRequests + 300);
  EXPECT_EQ(count({"nothing like this"}), 0u);
}

TEST(SitesTest, EmptyBlocksAreThere) {
  SyntheticTrace trace(::testing::TempDir() + "/zero.ltrace");
  trace.Allocate(trace.Kind(trace.Stack({0x10}), 0));
  trace.Finish();
  const Sample sample = LoadSample(trace.path());
  const std::vector<Site> sites = MakeSites(*sample.model, *sample.names, {});
  ASSERT_THAT(sites, SizeIs(1));
  EXPECT_EQ(sites[0].blocks, 1u);
}

TEST(SitesTest, WithoutAStackThereIsASite) {
  SyntheticTrace trace(::testing::TempDir() + "/no_stack.ltrace");
  trace.Allocate(trace.Kind(0, 10));
  trace.Finish();
  const Sample sample = LoadSample(trace.path());
  const std::vector<Site> sites = MakeSites(*sample.model, *sample.names, {});
  ASSERT_THAT(sites, SizeIs(1));
  EXPECT_THAT(sites[0].name, IsEmpty());
}

}  // namespace
}  // namespace leaktrace::report
