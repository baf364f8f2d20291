#include "analyzer/report/json.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tests/model/synthetic_trace.h"
#include "tests/report/sample_trace.h"

namespace leaktrace::report {
namespace {

using Json = nlohmann::ordered_json;
using ::leaktrace::testing::SyntheticTrace;

// A key and the type that it has: n(umber), i(nteger), s(tring), b(ool), a(rray), o(bject); `?`: or null.
void ExpectKeys(const Json& object, std::initializer_list<std::pair<const char*, std::string_view>> keys) {
  ASSERT_TRUE(object.is_object()) << object.dump();
  for (const auto& [key, type] : keys) {
    ASSERT_TRUE(object.contains(key)) << key << " is missing in " << object.dump().substr(0, 400);
    const Json& value = object[key];
    if (type.ends_with("?") && value.is_null()) continue;
    switch (type[0]) {
      case 'n':
        EXPECT_TRUE(value.is_number()) << key;
        break;
      case 'i':
        EXPECT_TRUE(value.is_number_integer()) << key;
        break;
      case 's':
        EXPECT_TRUE(value.is_string()) << key;
        break;
      case 'b':
        EXPECT_TRUE(value.is_boolean()) << key;
        break;
      case 'a':
        EXPECT_TRUE(value.is_array()) << key;
        break;
      case 'o':
        EXPECT_TRUE(value.is_object()) << key;
        break;
      default:
        FAIL() << type;
    }
  }
}

void ExpectSite(const Json& site) {
  ExpectKeys(site, {{"bytes", "i"},
                    {"blocks", "i"},
                    {"allocations", "i"},
                    {"allocated_bytes", "i"},
                    {"allocator", "s?"},
                    {"phase", "s?"},
                    {"request_phase", "s?"},
                    {"route", "s?"},
                    {"name", "s?"},
                    {"stack", "a"}});
  for (const Json& frame : site["stack"]) {
    ExpectKeys(frame, {{"function", "s?"},
                       {"module", "s?"},
                       {"offset", "i"},
                       {"file", "s?"},
                       {"line", "i?"},
                       {"kind", "s"},
                       {"inlined", "b"},
                       {"scheduled_by", "b"}});
  }
}

Json Render(const Sample& sample, const JsonOptions& options) {
  const absl::StatusOr<Judgement> judgement = Judge(*sample.model, *sample.names, {});
  EXPECT_TRUE(judgement.ok()) << judgement.status().message();
  return MakeJson(*sample.model, *sample.names, *judgement, options);
}

Json SampleJson(const std::string& name, const JsonOptions& options = {}) {
  const Sample sample = LoadSample(WriteSampleTrace(name));
  return Render(sample, options);
}

TEST(JsonTest, HasTheKeysOfTheInterface) {
  const Json json = SampleJson("json_keys");
  ExpectKeys(json, {{"program", "o"},
                    {"runtime", "o"},
                    {"end", "o"},
                    {"duration", "n"},
                    {"requests", "i?"},
                    {"events", "i"},
                    {"threads", "i"},
                    {"trace_bytes", "i"},
                    {"integrity", "o"},
                    {"memory", "a"},
                    {"phases", "a"},
                    {"live", "o"},
                    {"mappings", "o"},
                    {"verdict", "o?"},
                    {"suspects", "a"}});
  ExpectKeys(json["program"], {{"executable", "s"}, {"arguments", "a"}, {"pid", "i"}, {"build_id", "s?"}});
  ExpectKeys(json["runtime"], {{"name", "s"}, {"version", "s?"}});
  ExpectKeys(json["end"], {{"kind", "s"}, {"status", "i?"}});
  ExpectKeys(
      json["integrity"],
      {{"coverage", "n"}, {"dropped", "i"}, {"truncated_stacks", "i"}, {"damaged_chunks", "i"}, {"allocators", "a"}});
  ASSERT_EQ(json["integrity"]["allocators"].size(), 1u);
  ExpectKeys(json["integrity"]["allocators"][0],
             {{"name", "s"}, {"allocations", "i"}, {"frees", "i"}, {"unknown_frees", "i"}, {"overlaps", "i"}});
  ASSERT_FALSE(json["memory"].empty());
  for (const Json& sample : json["memory"]) {
    ExpectKeys(sample, {{"time", "n"}, {"rss", "i"}, {"live", "i"}, {"js_heap", "i?"}});
  }
  ASSERT_GE(json["phases"].size(), 2u);
  for (const Json& phase : json["phases"]) {
    ExpectKeys(phase, {{"name", "s"},
                       {"start", "n"},
                       {"end", "n"},
                       {"requests", "i?"},
                       {"allocated_bytes", "i"},
                       {"freed_bytes", "i"}});
  }
  ExpectKeys(json["live"], {{"bytes", "i"}, {"blocks", "i"}, {"sites", "a"}});
  ExpectKeys(json["mappings"], {{"bytes", "i"}, {"count", "i"}, {"sites", "a"}});
  ExpectKeys(json["verdict"], {{"kind", "s"}, {"summary", "s"}, {"bytes_per_request", "n?"}, {"growth", "o"}});
  ExpectKeys(json["verdict"]["growth"], {{"rss", "n?"},
                                         {"native_live", "n?"},
                                         {"js_heap", "n?"},
                                         {"allocator", "n?"},
                                         {"mappings", "n?"},
                                         {"other", "n?"},
                                         {"unexplained", "n?"}});
  ASSERT_FALSE(json["suspects"].empty());
  for (const Json& suspect : json["suspects"]) {
    ExpectKeys(suspect, {{"class", "s"},
                         {"severity", "s"},
                         {"share", "n"},
                         {"bytes_per_request", "n?"},
                         {"blocks_per_request", "n?"},
                         {"confidence", "n"},
                         {"reason", "s"},
                         {"site", "o"}});
    ExpectSite(suspect["site"]);
  }
  for (const Json& site : json["live"]["sites"]) ExpectSite(site);
  for (const Json& site : json["mappings"]["sites"]) ExpectSite(site);
}

TEST(JsonTest, HasTheFigures) {
  const Json json = SampleJson("json_figures");
  EXPECT_EQ(json["program"]["pid"], 4242);
  EXPECT_EQ(json["runtime"]["name"], "node");
  EXPECT_EQ(json["end"]["kind"], "signal");
  EXPECT_EQ(json["end"]["status"], 15);
  EXPECT_EQ(json["requests"], kSampleRequests);
  EXPECT_EQ(json["integrity"]["coverage"], 1.0);
  EXPECT_EQ(json["live"]["bytes"], 300 * 4096 + 12 * 338 * kSampleRequests);
  EXPECT_EQ(json["verdict"]["kind"], "native leak");
  EXPECT_EQ(json["suspects"][0]["class"], "leak");
  EXPECT_EQ(json["suspects"][0]["blocks_per_request"], 12);
  const Json& site = json["live"]["sites"][0];
  EXPECT_EQ(site["blocks"], 12 * kSampleRequests);
  EXPECT_EQ(site["phase"], "load");
  EXPECT_EQ(site["request_phase"], "receive");
  EXPECT_EQ(site["route"], "GET /users");
  EXPECT_EQ(site["allocator"], "libc");
  EXPECT_EQ(site["stack"][2]["function"], "handleRequest");
  EXPECT_EQ(site["stack"][2]["file"], "/app/src/server.js");
  EXPECT_EQ(site["stack"][2]["line"], 42);
  EXPECT_EQ(site["stack"][2]["kind"], "js");
  EXPECT_EQ(site["stack"][0]["offset"], 0x6000);
}

TEST(JsonTest, TopAndDepth) {
  const Json one = SampleJson("json_top", {.top = 1, .depth = 2, .sites = {}});
  ASSERT_EQ(one["live"]["sites"].size(), 1u);
  EXPECT_EQ(one["live"]["sites"][0]["stack"].size(), 2u);
  const Json all = SampleJson("json_all", {.top = 0, .sites = {}});
  EXPECT_EQ(all["live"]["sites"].size(), 2u);
}

TEST(JsonTest, AbsentFactsAreNull) {
  SyntheticTrace trace(::testing::TempDir() + "/json_null.ltrace");
  trace.Allocate(trace.Kind(trace.Stack({0x10}), 8));
  trace.Flush();
  const Sample sample = LoadSample(trace.path());
  const Json json = Render(sample, {});
  EXPECT_TRUE(json["requests"].is_null());
  EXPECT_TRUE(json["end"]["status"].is_null());
  EXPECT_TRUE(json["program"]["build_id"].is_null());
  EXPECT_TRUE(json["phases"][0]["requests"].is_null());
}

TEST(JsonTest, BytesThatAreNoUtf8DoNotStopIt) {
  EXPECT_EQ(DumpJson(Json{{"name", "a\xff"}}, -1), "{\"name\":\"a\xef\xbf\xbd\"}");
}

}  // namespace
}  // namespace leaktrace::report
