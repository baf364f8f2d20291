#include "analyzer/symbolize/demangle.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace leaktrace::symbolize {
namespace {

TEST(Demangle, CxxFunctions) {
  EXPECT_EQ(DemangleFull("_ZNK7ncrypto8X509Name8IteratordeEv"), "ncrypto::X509Name::Iterator::operator*() const");
  EXPECT_EQ(DemangleShort("_ZNK7ncrypto8X509Name8IteratordeEv"), "ncrypto::X509Name::Iterator::operator*() const");
  EXPECT_EQ(DemangleShort("_ZN4node12_GLOBAL__N_14ZCtx4InitERKN2v820FunctionCallbackInfoINS2_5ValueEEE"),
            "node::(anonymous namespace)::ZCtx::Init");
  EXPECT_EQ(DemangleFull("_ZN4node12_GLOBAL__N_14ZCtx4InitERKN2v820FunctionCallbackInfoINS2_5ValueEEE"),
            "node::(anonymous namespace)::ZCtx::Init(v8::FunctionCallbackInfo<v8::Value> const&)");
  EXPECT_EQ(DemangleShort("_Znwm"), "operator new(unsigned long)");
  EXPECT_EQ(DemangleShort("_ZNSt6vectorIiSaIiEE9push_backERKi"), "std::vector::push_back(int const&)");
}

TEST(Demangle, SplitPartsAndVersions) {
  EXPECT_EQ(DemangleShort("_ZN3foo3barEv.cold"), "foo::bar()");
  EXPECT_EQ(DemangleShort("parse.part.0.constprop.2"), "parse");
  EXPECT_EQ(DemangleShort("malloc@@GLIBC_2.2.5"), "malloc");
}

TEST(Demangle, RustSymbols) {
  // Both schemes, as rustc 1.95 and 1.36 write them.
  EXPECT_EQ(DemangleShort("_ZN5alloc7raw_vec19RawVec$LT$T$C$A$GT$14grow_amortized17h0123456789abcdefE"),
            "alloc::raw_vec::RawVec<T,A>::grow_amortized");
  EXPECT_EQ(DemangleFull("_ZN5alloc5alloc15exchange_malloc17h0123456789abcdefE"),
            "alloc::alloc::exchange_malloc::h0123456789abcdef");
  EXPECT_EQ(DemangleShort("_ZN5alloc5alloc15exchange_malloc17h0123456789abcdefE"), "alloc::alloc::exchange_malloc");
  EXPECT_EQ(DemangleShort("_RNvC6_123foo3bar"), "123foo::bar");
  EXPECT_EQ(DemangleShort("_RINvNtC3std3mem8align_ofdE"), "std::mem::align_of::<f64>");
  EXPECT_EQ(DemangleShort("_RNCNvC4leak4main0"), "leak::main::{closure#0}");
}

TEST(Demangle, OtherNamesStay) {
  for (const char* name :
       {"malloc", "", "_", "_Z", "_R", "_ZN", "Builtins_CallFunction_ReceiverIsAny", "sqlite3_open_v2"}) {
    EXPECT_EQ(DemangleShort(name), name);
  }
}

TEST(ShortenName, StandardStrings) {
  EXPECT_EQ(
      ShortenName(
          "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >::_M_create(unsigned long&)"),
      "std::string::_M_create(unsigned long&)");
  EXPECT_EQ(ShortenName("node::Utf8Value::Utf8Value(v8::Isolate*, v8::Local<v8::Value>)"),
            "node::Utf8Value::Utf8Value");
}

TEST(ShortenName, OperatorsAreNotBrackets) {
  EXPECT_EQ(ShortenName("a::operator<<(std::ostream&, a::Thing const&, a::Manipulator)"), "a::operator<<");
  EXPECT_EQ(ShortenName("a::F::operator()(int) const"), "a::F::operator()(int) const");
  EXPECT_EQ(ShortenName("a::operator< <a::VeryLongTemplateArgument>(a::X)"), "a::operator<(a::X)");
  EXPECT_EQ(ShortenName("a::P::operator->() const"), "a::P::operator->() const");
}

TEST(ShortenName, LambdasAndTags) {
  EXPECT_EQ(ShortenName("f(int)::{lambda(int, char)#2}::operator()(int, char) const"),
            "f(int)::{lambda#2}::operator()(int, char) const");
  EXPECT_EQ(ShortenName("name[abi:cxx11]() const"), "name() const");
}

TEST(ShortenName, Idempotent) {
  for (const char* name :
       {"node::(anonymous namespace)::ZCtx::Init", "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop", "main",
        "a::F::operator()(int) const", "f(int)::{lambda#2}::operator()(int, char) const"}) {
    EXPECT_EQ(ShortenName(ShortenName(name)), ShortenName(name));
  }
}

TEST(BareName, NothingButTheName) {
  EXPECT_EQ(BareName("ncrypto::X509Name::Iterator::operator*() const"), "ncrypto::X509Name::Iterator::operator*");
  EXPECT_EQ(BareName("operator new(unsigned long)"), "operator new");
  EXPECT_EQ(BareName("node::Malloc<char>(unsigned long)"), "node::Malloc");
  EXPECT_EQ(BareName("node::(anonymous namespace)::ZCtx::Init(int)"), "node::(anonymous namespace)::ZCtx::Init");
}

TEST(Demangle, AnyBytes) {
  std::mt19937 random(4);
  const std::string alphabet = "_ZNRKSt0123456789EIvimCLabfoo<>(){}[]: ,&*#$.@-=operator\x01\xff";
  for (int round = 0; round < 20000; ++round) {
    std::string symbol = round % 3 == 0 ? "_ZN" : round % 3 == 1 ? "_R" : "";
    for (unsigned length = random() % 80; length > 0; --length) symbol += alphabet[random() % alphabet.size()];
    DemangleFull(symbol);
    DemangleShort(symbol);
    BareName(symbol);
  }
  const std::string nested(20000, '<');
  EXPECT_LE(ShortenName(nested).size(), nested.size());
}

}  // namespace
}  // namespace leaktrace::symbolize
