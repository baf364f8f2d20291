#include "analyzer/symbolize/call_site.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leaktrace::symbolize {
namespace {

Line Native(std::string function, std::string module = "node") {
  Line line;
  line.function = std::move(function);
  line.module = std::move(module);
  line.kind = LineKind::kNative;
  return line;
}

Line JavaScript(std::string function, std::string file) {
  Line line;
  line.function = std::move(function);
  line.file = std::move(file);
  line.kind = LineKind::kJs;
  return line;
}

std::string SiteOf(const CallSiteRules& rules, const std::vector<Line>& stack) {
  std::vector<const Line*> lines;
  for (const Line& line : stack) lines.push_back(&line);
  return DisplayName(stack[rules.Site(lines)]);
}

TEST(CallSiteRules, OpenSslStringsAreWantedByTheirCaller) {
  const CallSiteRules rules;
  EXPECT_EQ(SiteOf(rules, {Native("malloc", "libc.so.6"), Native("CRYPTO_malloc"), Native("ASN1_STRING_set"),
                           Native("ASN1_mbstring_ncopy"), Native("ASN1_mbstring_copy"), Native("ASN1_STRING_to_UTF8"),
                           Native("ncrypto::X509Name::Iterator::operator*() const"), Native("node::crypto::ToLegacy")}),
            "ncrypto::X509Name::Iterator::operator*() const");
}

TEST(CallSiteRules, AllocatorCallbacksOfZlib) {
  const CallSiteRules rules;
  EXPECT_EQ(SiteOf(rules, {Native("node::(anonymous namespace)::CompressionStream<node::(anonymous "
                                  "namespace)::ZlibContext>::AllocForZlib(void*, "
                                  "unsigned int, unsigned int)"),
                           Native("deflateInit2_"), Native("node::(anonymous namespace)::ZCtx::Init")}),
            "deflateInit2_");
}

TEST(CallSiteRules, ContainersBelongToTheirUser) {
  const CallSiteRules rules;
  EXPECT_EQ(SiteOf(rules, {Native("operator new(unsigned long)"),
                           Native("std::vector<int, std::allocator<int> >::push_back(int const&)"),
                           Native("node::Environment::AddCleanupHook(void (*)(void*), void*)")}),
            "node::Environment::AddCleanupHook(void (*)(void*), void*)");
}

TEST(CallSiteRules, AddonWithoutSymbolsIsTheSite) {
  const CallSiteRules rules;
  EXPECT_EQ(SiteOf(rules, {Native("operator new(unsigned long)"), Native("v8impl::Reference::New"),
                           Native("napi_create_reference"), Native("", "snappy.linux-x64-gnu.node"),
                           Native("v8impl::(anonymous namespace)::FunctionCallbackWrapper::Invoke"),
                           JavaScript("uncompressSync", "/app/index.js")}),
            "snappy.linux-x64-gnu.node+0x0");
}

TEST(CallSiteRules, NamedFunctionBeforeUnnamedOneOfTheRuntime) {
  const CallSiteRules rules;
  EXPECT_EQ(SiteOf(rules, {Native("mi_malloc", "bun"), Native("", "bun"), Native("NativeBrotli.reset", "bun"),
                           JavaScript("reset", "node:zlib"), Native("main", "bun")}),
            "NativeBrotli.reset");
  EXPECT_EQ(SiteOf(rules, {Native("mi_malloc", "bun"), Native("", "bun"), Native("main", "bun")}), "bun+0x0");
}

TEST(CallSiteRules, RuntimeOnlyWhereNothingIsBetter) {
  const CallSiteRules rules;
  EXPECT_EQ(SiteOf(rules, {Native("malloc", "libc.so.6"), Native("v8::internal::JSArrayBuffer::Setup"),
                           Native("Builtins_ArrayBuffer"), JavaScript("makeBuffer", "/app/a.js")}),
            "makeBuffer");
  EXPECT_EQ(SiteOf(rules, {Native("malloc", "libc.so.6"), Native("v8::internal::compiler::PipelineImpl::Run"),
                           Native("start_thread", "libc.so.6")}),
            "v8::internal::compiler::PipelineImpl::Run");
  EXPECT_EQ(rules.Site({}), 0u);
}

TEST(CallSiteRules, SourceFileAloneIsNoName) {
  const CallSiteRules rules;
  EXPECT_EQ(rules.RoleOf(Native("[in bio_mem.cc]", "bun")), SiteRole::kUnnamed);
  EXPECT_EQ(SiteOf(rules, {Native("mi_malloc", "bun"), Native("[in bio_mem.cc]", "bun"), Native("get X509Certificate.raw", "bun")}),
            "get X509Certificate.raw");
}

TEST(CallSiteRules, AnonymousFunctionsOfJavaScriptAreSites) {
  const CallSiteRules rules;
  EXPECT_EQ(SiteOf(rules, {Native("malloc", "libc.so.6"), Native("", "node"), JavaScript("", "/app/a.js")}), "(anonymous)");
}

TEST(CallSiteRules, OwnRulesComeFirst) {
  CallSiteRules rules;
  ASSERT_TRUE(rules.Add("# ours\n\nsite function v8::internal::wasm::*\nallocator file */pool.js\n", "mine").ok());
  EXPECT_EQ(rules.RoleOf(Native("v8::internal::wasm::NativeModule::New")), SiteRole::kSite);
  EXPECT_EQ(rules.RoleOf(JavaScript("take", "/app/pool.js")), SiteRole::kAllocator);
  EXPECT_EQ(rules.RoleOf(Native("v8::internal::Heap::Setup")), SiteRole::kRuntime);
}

TEST(CallSiteRules, ErrorsNameTheLine) {
  CallSiteRules rules;
  EXPECT_EQ(rules.Add("site function a\nskip function b\n", "mine.rules").message(),
            "mine.rules:2: the first word must be site, runtime or allocator; a rule reads ROLE FIELD PATTERN");
  EXPECT_FALSE(rules.Add("site name b", "x").ok());
  EXPECT_FALSE(rules.Add("site function", "x").ok());
  EXPECT_FALSE(rules.AddFile("/nonexistent/rules").ok());
}

}  // namespace
}  // namespace leaktrace::symbolize
