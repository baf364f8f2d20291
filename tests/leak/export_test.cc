#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "analyzer/report/folded.h"
#include "analyzer/report/pprof.h"
#include "analyzer/report/profile.h"
#include "analyzer/report/profile.pb.h"
#include "analyzer/report/speedscope.h"

namespace leaktrace::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

symbolize::Line NativeLine(const std::string& function, std::uint64_t offset = 0x1234, bool inlined = false) {
  symbolize::Line line;
  line.function = function;
  line.module = "node";
  line.offset = offset;
  line.kind = function.empty() ? symbolize::LineKind::kUnknown : symbolize::LineKind::kNative;
  line.inlined = inlined;
  return line;
}

Profile Example() {
  Profile profile;
  profile.title = "node server.js";
  profile.start_realtime = 1'700'000'000'000'000'000;
  profile.duration = 5'000'000'000;
  profile.modules = {{"/usr/bin/node", "00ff", 0x400000, 0x900000}};
  symbolize::Line handler;
  handler.function = "handler";
  handler.file = "/srv/server.js";
  handler.line = 12;
  handler.kind = symbolize::LineKind::kJs;
  profile.locations = {
      {1, 0x401000, {NativeLine("malloc")}},
      {1, 0x402000, {NativeLine("Inner", 1, true), NativeLine("Outer(int; char)", 1)}},
      {0, 0x7f0000, {handler}},
      {1, 0x403000, {NativeLine("", 0x3000)}},
      {1, 0x404000, {NativeLine("bad \xff utf8 \xed\xa0\x80 \xc3\xa9")}},
  };
  profile.samples = {
      {{0, 1, 2}, {1000, 10, 900, 9, 5000, 50}, "libc", "receive", "/health"},
      {{0, 1, 2}, {1, 1, 0, 0, 1, 1}, "mimalloc v3", "", ""},
      {{0, 3}, {0, 0, 0, 0, 77, 7}, "libc", "", ""},
      {{4}, {(1ull << 53) - 1, 3, 0, 0, (1ull << 53) - 1, 3}, "libc", "", ""},
      {{}, {8, 1, 8, 1, 8, 1}, "", "", ""},
      {{0}, {0, 0, 0, 0, 0, 0}, "", "", ""},
  };
  return profile;
}

std::vector<Metric> AllMetrics() {
  std::vector<Metric> metrics;
  for (std::size_t i = 0; i < kMetrics; ++i) metrics.push_back(static_cast<Metric>(i));
  return metrics;
}

TEST(ProfileTest, MetricsAreFoundByTheirNames) {
  for (const Metric metric : AllMetrics()) EXPECT_EQ(MetricNamed(InfoOf(metric).name), metric);
  EXPECT_FALSE(MetricNamed("bytes").has_value());
}

TEST(FoldedTest, LinesAreWhatFlamegraphReads) {
  EXPECT_THAT(Folded(Example(), Metric::kAllocatedBytes),
              HasSubstr("handler /srv/server.js:12;Outer(int: char);Inner;malloc 5001\n"));
  EXPECT_THAT(Folded(Example(), Metric::kAllocatedBytes), HasSubstr("node+0x3000;malloc 77\n"));
  EXPECT_THAT(Folded(Example(), Metric::kGrowthBlocks), Not(HasSubstr("node+0x3000")));
  EXPECT_EQ(Folded(Profile{}, Metric::kLiveBytes), "");
}

TEST(FoldedTest, SumsAreTheTotals) {
  const Profile profile = Example();
  for (const Metric metric : AllMetrics()) {
    std::istringstream lines(Folded(profile, metric));
    std::uint64_t sum = 0;
    for (std::string line; std::getline(lines, line);) {
      const std::size_t space = line.rfind(' ');
      ASSERT_NE(space, std::string::npos);
      std::size_t digits = 0;
      sum += std::stoull(line.substr(space + 1), &digits);
      EXPECT_EQ(digits, line.size() - space - 1) << line;
      EXPECT_GT(space, 0u);
    }
    EXPECT_EQ(sum, profile.Total(metric)) << InfoOf(metric).name;
  }
}

// The rules of https://www.speedscope.app/file-format-schema.json for what leaktrace writes.
void CheckAgainstSchema(const nlohmann::json& file) {
  ASSERT_TRUE(file.is_object());
  EXPECT_EQ(file.at("$schema"), "https://www.speedscope.app/file-format-schema.json");
  EXPECT_TRUE(file.at("name").is_string());
  EXPECT_TRUE(file.at("exporter").is_string());
  EXPECT_TRUE(file.at("activeProfileIndex").is_number_unsigned());
  for (const auto& [key, value] : file.items()) {
    EXPECT_THAT((std::vector<std::string>{"$schema", "name", "exporter", "activeProfileIndex", "shared", "profiles"}),
                ::testing::Contains(key));
  }
  const nlohmann::json& frames = file.at("shared").at("frames");
  ASSERT_TRUE(frames.is_array());
  for (const nlohmann::json& frame : frames) {
    EXPECT_TRUE(frame.at("name").is_string());
    for (const auto& [key, value] : frame.items()) {
      if (key == "file") {
        EXPECT_TRUE(value.is_string());
      } else if (key == "line" || key == "col") {
        EXPECT_TRUE(value.is_number());
      } else {
        EXPECT_EQ(key, "name");
      }
    }
  }
  ASSERT_TRUE(file.at("profiles").is_array());
  ASSERT_LT(file.at("activeProfileIndex"), file.at("profiles").size());
  for (const nlohmann::json& profile : file.at("profiles")) {
    EXPECT_EQ(profile.at("type"), "sampled");
    EXPECT_TRUE(profile.at("name").is_string());
    EXPECT_THAT((std::vector<std::string>{"none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"}),
                ::testing::Contains(profile.at("unit").get<std::string>()));
    EXPECT_TRUE(profile.at("startValue").is_number());
    EXPECT_TRUE(profile.at("endValue").is_number());
    EXPECT_GE(profile.at("endValue"), profile.at("startValue"));
    ASSERT_TRUE(profile.at("samples").is_array());
    ASSERT_TRUE(profile.at("weights").is_array());
    ASSERT_EQ(profile.at("samples").size(), profile.at("weights").size());
    for (const nlohmann::json& stack : profile.at("samples")) {
      ASSERT_TRUE(stack.is_array());
      for (const nlohmann::json& frame : stack) {
        ASSERT_TRUE(frame.is_number_unsigned());
        EXPECT_LT(frame.get<std::size_t>(), frames.size());
      }
    }
    for (const nlohmann::json& weight : profile.at("weights")) EXPECT_TRUE(weight.is_number());
  }
}

TEST(SpeedscopeTest, FollowsTheSchema) {
  CheckAgainstSchema(nlohmann::json::parse(Speedscope(Example(), Metric::kGrowthBytes)));
  CheckAgainstSchema(nlohmann::json::parse(Speedscope(Profile{}, Metric::kLiveBytes)));
}

TEST(SpeedscopeTest, WeightsAreTheTotals) {
  const Profile profile = Example();
  const nlohmann::json file = nlohmann::json::parse(Speedscope(profile, Metric::kGrowthBytes));
  EXPECT_EQ(file.at("activeProfileIndex"), static_cast<std::size_t>(Metric::kGrowthBytes));
  for (const Metric metric : AllMetrics()) {
    const nlohmann::json& one = file.at("profiles").at(static_cast<std::size_t>(metric));
    std::uint64_t sum = 0;
    for (const nlohmann::json& weight : one.at("weights")) sum += weight.get<std::uint64_t>();
    EXPECT_EQ(sum, profile.Total(metric));
    EXPECT_EQ(one.at("endValue"), profile.Total(metric));
  }
}

TEST(SpeedscopeTest, StacksBeginWithTheOutermostFrame) {
  const nlohmann::json file = nlohmann::json::parse(Speedscope(Example(), Metric::kLiveBytes));
  std::vector<std::string> names;
  for (const nlohmann::json& frame : file.at("profiles").at(0).at("samples").at(0)) {
    names.push_back(file.at("shared").at("frames").at(frame.get<std::size_t>()).at("name"));
  }
  EXPECT_THAT(names, ::testing::ElementsAre("handler", "Outer(int; char)", "Inner", "malloc"));
}

std::string Gunzip(const std::string& data) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  std::string out(1 << 20, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0u);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

perftools::profiles::Profile ReadBack(const Profile& profile, Metric metric) {
  const absl::StatusOr<std::string> file = Pprof(profile, metric);
  EXPECT_TRUE(file.ok()) << file.status();
  perftools::profiles::Profile out;
  EXPECT_TRUE(out.ParseFromString(Gunzip(*file)));
  return out;
}

// What pprof's own reader checks (profile.CheckValid in github.com/google/pprof/profile).
void CheckValid(const perftools::profiles::Profile& profile) {
  const auto text = [&](std::int64_t index) {
    EXPECT_GE(index, 0);
    EXPECT_LT(index, profile.string_table_size());
    return profile.string_table(static_cast<int>(index));
  };
  ASSERT_GT(profile.string_table_size(), 0);
  EXPECT_EQ(profile.string_table(0), "");
  for (const auto& type : profile.sample_type()) EXPECT_NE(text(type.type()), "");
  for (int i = 0; i < profile.mapping_size(); ++i)
    EXPECT_EQ(profile.mapping(i).id(), static_cast<std::uint64_t>(i) + 1);
  for (int i = 0; i < profile.function_size(); ++i) {
    EXPECT_EQ(profile.function(i).id(), static_cast<std::uint64_t>(i) + 1);
    EXPECT_NE(text(profile.function(i).name()), "");
    text(profile.function(i).filename());
  }
  for (int i = 0; i < profile.location_size(); ++i) {
    const auto& location = profile.location(i);
    EXPECT_EQ(location.id(), static_cast<std::uint64_t>(i) + 1);
    EXPECT_LE(location.mapping_id(), static_cast<std::uint64_t>(profile.mapping_size()));
    for (const auto& line : location.line()) {
      EXPECT_GE(line.function_id(), 1u);
      EXPECT_LE(line.function_id(), static_cast<std::uint64_t>(profile.function_size()));
    }
  }
  for (const auto& sample : profile.sample()) {
    EXPECT_EQ(sample.value_size(), profile.sample_type_size());
    for (const std::uint64_t id : sample.location_id()) {
      EXPECT_GE(id, 1u);
      EXPECT_LE(id, static_cast<std::uint64_t>(profile.location_size()));
    }
    for (const auto& label : sample.label()) {
      EXPECT_NE(text(label.key()), "");
      EXPECT_NE(text(label.str()), "");
    }
  }
}

TEST(PprofTest, IsValidAndItsValuesAreTheTotals) {
  const Profile profile = Example();
  const perftools::profiles::Profile read = ReadBack(profile, Metric::kGrowthBytes);
  CheckValid(read);
  CheckValid(ReadBack(Profile{}, Metric::kLiveBytes));
  ASSERT_EQ(read.sample_type_size(), static_cast<int>(kMetrics));
  EXPECT_EQ(read.string_table(static_cast<int>(read.default_sample_type())), "growth-bytes");
  for (const Metric metric : AllMetrics()) {
    const int index = static_cast<int>(metric);
    EXPECT_EQ(read.string_table(static_cast<int>(read.sample_type(index).type())), InfoOf(metric).name);
    EXPECT_EQ(read.string_table(static_cast<int>(read.sample_type(index).unit())),
              InfoOf(metric).bytes ? "bytes" : "count");
    std::uint64_t sum = 0;
    for (const auto& sample : read.sample()) sum += static_cast<std::uint64_t>(sample.value(index));
    EXPECT_EQ(sum, profile.Total(metric));
  }
  EXPECT_EQ(read.time_nanos(), 1'700'000'000'000'000'000);
  EXPECT_EQ(read.duration_nanos(), 5'000'000'000);
}

TEST(PprofTest, StacksBeginWithTheInnermostFrameAndKeepInlinedFunctions) {
  const perftools::profiles::Profile read = ReadBack(Example(), Metric::kLiveBytes);
  const auto& sample = read.sample(0);
  ASSERT_EQ(sample.location_id_size(), 3);
  const auto name = [&](std::uint64_t location, int line) {
    const auto& function =
        read.function(static_cast<int>(read.location(static_cast<int>(location) - 1).line(line).function_id()) - 1);
    return read.string_table(static_cast<int>(function.name()));
  };
  EXPECT_EQ(name(sample.location_id(0), 0), "malloc");
  EXPECT_EQ(name(sample.location_id(1), 0), "Inner");
  EXPECT_EQ(name(sample.location_id(1), 1), "Outer(int; char)");
  EXPECT_EQ(name(sample.location_id(2), 0), "handler");
  EXPECT_EQ(sample.label_size(), 3);
}

TEST(PprofTest, NamesThatAreNoUtf8AreReplaced) {
  const perftools::profiles::Profile read = ReadBack(Example(), Metric::kLiveBytes);
  bool found = false;
  for (const std::string& text : read.string_table()) found = found || text == "bad ? utf8 ??? \xc3\xa9";
  EXPECT_TRUE(found);
}

TEST(PprofTest, IsDeterministic) {
  EXPECT_EQ(*Pprof(Example(), Metric::kLiveBytes), *Pprof(Example(), Metric::kLiveBytes));
}

}  // namespace
}  // namespace leaktrace::report
