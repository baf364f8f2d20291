#include "analyzer/leak/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "tests/leak/synthetic.h"

namespace leaktrace::leak {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

double Traffic(double time) { return std::clamp(time - 10, 0.0, 80.0) * 100; }

// A run with sites and the stacks under which they allocate.
class Scene {
 public:
  explicit Scene(std::function<double(double)> traffic = Traffic) : run_(100, std::move(traffic)) {
    Add({"InitializeEverything", "main"}, Evenly(0, 2, 3000, 100));
    Add({"HandleOneThing", "main"}, Evenly(0, 90, 20000, 64, 0.2));
  }

  // Functions innermost first; "js:NAME" is JavaScript.
  void Add(const std::vector<std::string>& functions, std::vector<Synthetic::Block> blocks,
           Memory memory = Memory::kHeap) {
    run_.AddSite(std::move(blocks));
    Candidate candidate;
    for (const std::string& function : functions) {
      symbolize::Line& line = lines_.emplace_back();
      const bool js = function.starts_with("js:");
      line.function = js ? function.substr(3) : function;
      line.kind = js ? symbolize::LineKind::kJs : symbolize::LineKind::kNative;
      (js ? line.file : line.module) = js ? "/srv/server.js" : "node";
      candidate.stack.push_back({&line, rules_.RoleOf(line)});
    }
    std::vector<const symbolize::Line*> stack;
    for (const StackLine& at : candidate.stack) stack.push_back(at.line);
    candidate.name = stack[rules_.Site(stack)]->function;
    memories_.push_back(memory);
    candidates_.push_back(std::move(candidate));
  }

  // Resident memory as a function of time.
  void SetMemory(const std::function<MemorySample(double)>& at) {
    for (int i = 0; i <= 200; ++i) {
      memory_.push_back(at(i / 2.0));
      memory_.back().time = i / 2.0;
    }
  }
  void SetJsHeap(const std::function<JsHeapSample(double)>& at) {
    for (int i = 0; i <= 100; ++i) {
      js_heap_.push_back(at(i));
      js_heap_.back().time = i;
    }
  }

  void SetJsMapped(const std::function<std::uint64_t(double)>& at) { js_mapped_ = at; }

  Analysis Run(const AnalysisOptions& options = {}) {
    ProcessHistory process = run_.Process();
    process.memory = memory_;
    process.js_heap = js_heap_;
    for (TimelinePoint& point : process.timeline) point.js_mapped_bytes = js_mapped_(point.time);
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      candidates_[i].history = run_.Site(i);
      candidates_[i].history.memory = memories_[i];
    }
    absl::StatusOr<Analysis> analysis = Analyze(process, candidates_, options);
    EXPECT_TRUE(analysis.ok()) << analysis.status();
    return *std::move(analysis);
  }

  [[nodiscard]] const std::string& NameOf(const Suspect& suspect) const {
    return candidates_[suspect.candidates[0]].name;
  }

 private:
  Synthetic run_;
  symbolize::CallSiteRules rules_;
  std::deque<symbolize::Line> lines_;
  std::vector<Candidate> candidates_;
  std::vector<Memory> memories_;
  std::vector<MemorySample> memory_;
  std::vector<JsHeapSample> js_heap_;
  std::function<std::uint64_t(double)> js_mapped_ = [](double) { return std::uint64_t{0}; };
};

std::size_t Leaks(const Analysis& analysis) {
  return static_cast<std::size_t>(
      std::count_if(analysis.suspects.begin(), analysis.suspects.end(),
                    [](const Suspect& suspect) { return suspect.evidence.kind == Class::kLeak; }));
}

MemorySample Flat(double /*time*/) {
  MemorySample sample;
  sample.rss = 100'000'000;
  return sample;
}

TEST(VerdictTest, ANativeLeakNamesTheFunctionAndItsCaller) {
  Scene scene;
  scene.Add({"malloc", "CRYPTO_malloc", "GetX509NameObject", "js:toLegacyObject", "main"}, Evenly(10, 90, 48000, 28));
  const Analysis analysis = scene.Run();
  EXPECT_EQ(analysis.verdict.kind, Kind::kNativeLeak);
  EXPECT_FALSE(analysis.verdict.owned_by_js);
  EXPECT_NEAR(*analysis.verdict.bytes_per_unit, 168, 1);
  EXPECT_THAT(analysis.verdict.summary, HasSubstr("GetX509NameObject, called from toLegacyObject (/srv/server.js)"));
  ASSERT_EQ(Leaks(analysis), 1u);
  EXPECT_EQ(scene.NameOf(analysis.suspects[0]), "GetX509NameObject");
  EXPECT_GT(analysis.suspects[0].share, 0.99);
  EXPECT_EQ(analysis.suspects[0].severity, Severity::kHigh);
}

TEST(VerdictTest, AllocationsOfOneCallAreOneSuspect) {
  Scene scene;
  // The same native function, reached through two callers, allocates three blocks; half of the run in another tier of
  // code.
  scene.Add({"malloc", "NewHandle", "Open", "js:open", "js:a", "main"}, Evenly(10, 50, 4000, 100));
  scene.Add({"malloc", "NewHandle", "Open", "js:open", "js:b", "main"}, Evenly(50, 90, 4000, 100));
  scene.Add({"malloc", "NewBuffer", "Open", "js:open", "js:a", "main"}, Evenly(10, 90, 8000, 1000));
  scene.Add({"malloc", "Scratch", "Open", "js:open", "js:a", "main"}, Sawtooth(10, 90, 8000, 5000, 3));
  const Analysis analysis = scene.Run();
  ASSERT_EQ(Leaks(analysis), 1u);
  EXPECT_EQ(analysis.suspects[0].candidates.size(), 3u);
  EXPECT_EQ(analysis.suspects[0].evidence.blocks_per_unit, 2);
  EXPECT_NEAR(analysis.suspects[0].evidence.bytes_per_unit, 1100, 5);
  EXPECT_EQ(scene.NameOf(analysis.suspects[0]), "NewBuffer");
}

TEST(VerdictTest, TwoLeaksAreTwoSuspectsLargestFirst) {
  Scene scene;
  scene.Add({"malloc", "SmallLeak", "js:handler", "main"}, Evenly(10, 90, 8000, 40));
  scene.Add({"malloc", "LargeLeak", "js:handler", "main"}, Evenly(10, 90, 8000, 400));
  const Analysis analysis = scene.Run();
  ASSERT_EQ(Leaks(analysis), 2u);
  EXPECT_EQ(scene.NameOf(analysis.suspects[0]), "LargeLeak");
  EXPECT_NEAR(analysis.suspects[0].share, 10 / 11.0, 0.01);
  EXPECT_EQ(scene.NameOf(analysis.suspects[1]), "SmallLeak");
  EXPECT_NEAR(*analysis.verdict.bytes_per_unit, 440, 3);
}

TEST(VerdictTest, BuffersAreNativeMemoryThatJavaScriptOwns) {
  Scene scene;
  scene.Add({"calloc", "node::NodeArrayBufferAllocator::Allocate", "v8::internal::BackingStore::Allocate", "js:keep"},
            Evenly(10, 90, 8000, 16384));
  const Analysis analysis = scene.Run();
  EXPECT_EQ(analysis.verdict.kind, Kind::kNativeLeak);
  EXPECT_TRUE(analysis.verdict.owned_by_js);
  EXPECT_THAT(analysis.verdict.summary, HasSubstr("retained by JavaScript objects"));
  EXPECT_EQ(analysis.suspects[0].owner, Owner::kJsObject);
}

TEST(VerdictTest, ExternalMemoryTellsWhoseBlocksWithoutNamesAre) {
  Scene scene;
  scene.Add({"malloc", "", "js:keep"}, Evenly(10, 90, 8000, 16384));
  scene.SetJsHeap([](double time) {
    JsHeapSample sample;
    sample.external = static_cast<std::uint64_t>(16384 * 100 * std::clamp(time - 10, 0.0, 80.0));
    sample.heap_used = 5'000'000;
    return sample;
  });
  const Analysis analysis = scene.Run();
  EXPECT_EQ(analysis.verdict.kind, Kind::kNativeLeak) << analysis.verdict.summary;
  EXPECT_TRUE(analysis.verdict.owned_by_js);
}

TEST(VerdictTest, ALeakThatPinsBuffersIsNamedBeforeThem) {
  Scene scene;
  scene.Add({"calloc", "v8::internal::BackingStore::Allocate", "js:compress"}, Evenly(10, 90, 8000, 1024));
  scene.Add({"operator new", "uncompress_sync", "js:compress"}, Evenly(10, 90, 8000, 40));
  const Analysis analysis = scene.Run();
  EXPECT_EQ(scene.NameOf(analysis.suspects[0]), "uncompress_sync");
}

TEST(VerdictTest, TheJavaScriptHeapIsNoNativeLeak) {
  Scene scene;
  // The engine's bookkeeping grows with its heap.
  scene.Add({"operator new", "v8::internal::MemoryAllocator::AllocatePage", "js:remember"}, Evenly(10, 90, 800, 300));
  scene.SetMemory([](double time) {
    MemorySample sample;
    sample.rss = 100'000'000 + static_cast<std::uint64_t>(1e6 * std::clamp(time - 10, 0.0, 80.0));
    return sample;
  });
  scene.SetJsMapped(
      [](double time) { return static_cast<std::uint64_t>(40e6 + 1e6 * std::clamp(time - 10, 0.0, 80.0)); });
  const Analysis analysis = scene.Run();
  EXPECT_EQ(analysis.verdict.kind, Kind::kJsHeapGrowth) << analysis.verdict.summary;
  EXPECT_NEAR(*analysis.verdict.bytes_per_unit, 10000, 1500);
  EXPECT_THAT(analysis.verdict.summary, HasSubstr("no native leak"));
}

TEST(VerdictTest, NativeMemoryOfObjectsThatPileUpIsNotTheCause) {
  Scene scene;
  scene.Add({"malloc", "NewTimer", "js:setTimer"}, Evenly(10, 90, 8000, 64));
  scene.SetJsHeap([](double time) {
    JsHeapSample sample;
    sample.heap_used = 5'000'000 + static_cast<std::uint64_t>(40'000 * std::clamp(time - 10, 0.0, 80.0));
    return sample;
  });
  EXPECT_EQ(scene.Run().verdict.kind, Kind::kJsHeapGrowth);
}

TEST(VerdictTest, WrappersOfALeakDoNotMakeItTheJavaScriptHeap) {
  Scene scene;
  scene.Add({"malloc", "deflateInit2_", "js:createGzip"}, Evenly(10, 90, 8000, 28000));
  scene.SetJsHeap([](double time) {
    JsHeapSample sample;
    sample.heap_used = 5'000'000 + static_cast<std::uint64_t>(180'000 * std::clamp(time - 10, 0.0, 80.0));
    return sample;
  });
  EXPECT_EQ(scene.Run().verdict.kind, Kind::kNativeLeak);
}

TEST(VerdictTest, FreedMemoryThatTheAllocatorKeeps) {
  Scene scene;
  scene.SetMemory([](double time) {
    MemorySample sample;
    sample.anonymous = 20'000'000 + static_cast<std::uint64_t>(500'000 * std::clamp(time - 10, 0.0, 80.0));
    sample.rss = *sample.anonymous + 50'000'000;
    return sample;
  });
  const Analysis analysis = scene.Run();
  EXPECT_EQ(analysis.verdict.kind, Kind::kAllocatorRetention) << analysis.verdict.summary;
  EXPECT_EQ(Leaks(analysis), 0u);
}

TEST(VerdictTest, MappingsThatAreNotUnmapped) {
  Scene scene;
  scene.Add({"mmap", "MapOneMore", "js:handler"}, Evenly(10, 90, 800, 65536), Memory::kMapping);
  scene.SetMemory([](double time) {
    MemorySample sample;
    sample.rss = 50'000'000 + static_cast<std::uint64_t>(655'360 * std::clamp(time - 10, 0.0, 80.0));
    return sample;
  });
  const Analysis analysis = scene.Run();
  EXPECT_EQ(analysis.verdict.kind, Kind::kMappingGrowth) << analysis.verdict.summary;
  EXPECT_THAT(analysis.verdict.summary, HasSubstr("MapOneMore"));
  EXPECT_NEAR(*analysis.verdict.bytes_per_unit, 6553.6, 100);
}

TEST(VerdictTest, NothingGrows) {
  Scene scene;
  scene.SetMemory(Flat);
  const Analysis analysis = scene.Run();
  EXPECT_EQ(analysis.verdict.kind, Kind::kNoGrowth) << analysis.verdict.summary;
  EXPECT_EQ(Leaks(analysis), 0u);
  EXPECT_THAT(analysis.verdict.summary, HasSubstr("No leak"));
}

TEST(VerdictTest, GrowthWithoutACulpritIsUnclear) {
  Scene scene;
  scene.SetMemory([](double time) {
    MemorySample sample;
    sample.rss = 50'000'000 + static_cast<std::uint64_t>(500'000 * time);
    return sample;
  });
  const Analysis analysis = scene.Run();
  EXPECT_EQ(analysis.verdict.kind, Kind::kUnclear) << analysis.verdict.summary;
  EXPECT_THAT(analysis.verdict.notes, ::testing::Contains(HasSubstr("unexplained")));
}

TEST(VerdictTest, APhaseThatIsNotThereIsAnError) {
  ProcessHistory process = Synthetic(100, Traffic).Process();
  process.phases = {{"startup", 0, 20}, {"burst", 20, 199}};
  const auto analysis = Analyze(process, {}, {.per = Per{"load", 1000}});
  EXPECT_FALSE(analysis.ok());
  EXPECT_THAT(std::string(analysis.status().message()), HasSubstr("it has: burst, startup"));
}

TEST(VerdictTest, ATraceThatIsTooShortSaysSo) {
  ProcessHistory process;
  process.timeline.resize(1);
  const auto analysis = Analyze(process, {}, {});
  ASSERT_TRUE(analysis.ok());
  EXPECT_EQ(analysis->verdict.kind, Kind::kUnclear);
  EXPECT_THAT(analysis->verdict.summary, HasSubstr("too short"));
}

TEST(PerTest, IsAPhaseAndACount) {
  EXPECT_EQ(ParsePer("load=20000")->iterations, 20000);
  EXPECT_EQ(ParsePer("a=b=3")->phase, "a=b");
  for (const char* bad : {"", "load", "load=", "load=x", "load=0", "load=-1", "=5", "load=inf"})
    EXPECT_FALSE(ParsePer(bad).ok()) << bad;
}

}  // namespace
}  // namespace leaktrace::leak
