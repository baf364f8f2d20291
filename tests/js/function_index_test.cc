#include "analyzer/js/function_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace leaktrace::js {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Names(std::string_view text) {
  std::vector<std::string> names;
  for (const FunctionDefinition& function : FindFunctions(UnitsOfUtf8(text))) names.push_back(function.name);
  return names;
}

TEST(FunctionIndex, DeclarationsExpressionsAndArrows) {
  EXPECT_THAT(Names("function a() {} const b = function () {}; const c = () => 1; const d = async x => x; let e = "
                    "function* () {};"),
              ElementsAre("a", "b", "c", "d", "e"));
}

TEST(FunctionIndex, MethodsAccessorsAndComputedNames) {
  EXPECT_THAT(Names("class A { constructor(x) { super(x); } m() {} get g() { return 1; } static async *s() {} #p() {} "
                    "[k]() {} 'str'() {} }\n"
                    "const o = { m() {}, f: function () {}, a: () => {}, get x() { return 1; } };"),
              ElementsAre("constructor", "m", "g", "s", "#p", "", "str", "m", "f", "a", "x"));
}

TEST(FunctionIndex, ControlStatementsAndCallsAreNone) {
  EXPECT_THAT(Names("if (a) { b(); } for (;;) {} while (x) {} switch (y) {} try {} catch (e) {} f(1); { block; } new "
                    "C(); a.if(x);"),
              ElementsAre());
}

TEST(FunctionIndex, TextInStringsTemplatesCommentsAndRegularExpressionsIsNone) {
  EXPECT_THAT(Names("// function no() {}\n/* function no() {} */ const s = 'function no() {}'; const r = /function "
                    "no() {}[/]\\//g;\n"
                    "const t = `function no() {} ${(() => `x${y}`)()} () => {}`; const q = a / b; function yes() {}"),
              ElementsAre("", "yes"));
}

TEST(FunctionIndex, TypeScript) {
  EXPECT_THAT(
      Names("export function a<T extends { x: number }>(p: T, q?: string): Promise<Map<string, T>> { return null!; }\n"
            "class C<T> { private m(x: number): void {} static async n<U>(u: U): Promise<U> { return u; } }\n"
            "const f = (x: number): string => `${x}`;\nconst h: Handler = async (request) => {};"),
      ElementsAre("a", "m", "n", "f", "h"));
}

TEST(FunctionIndex, JsxTextDoesNotDisturb) {
  EXPECT_THAT(
      Names("function View() { return <p onClick={() => go()}>don't</p>; }\nfunction After() { return <b>it's</b>; }"),
      ElementsAre("View", "", "After"));
}

TEST(FunctionIndex, PlacesAreOfTheParameterList) {
  const auto functions = FindFunctions(UnitsOfUtf8("const a = 1;\nfunction  name (x) {}\n  const f = async y => y;"));
  ASSERT_EQ(functions.size(), 2u);
  EXPECT_EQ(functions[0].line, 2u);
  EXPECT_EQ(functions[0].column, 16u);
  EXPECT_EQ(functions[0].parameter_count, 1u);
  EXPECT_EQ(functions[1].line, 3u);
}

TEST(FunctionIndex, OffsetsCountUtf16Units) {
  const auto functions = FindFunctions(UnitsOfUtf8("'\xf0\x9f\x98\x80\xc3\xa9'; function f() {}"));
  ASSERT_EQ(functions.size(), 1u);
  EXPECT_EQ(functions[0].parameters, 17u) << "a surrogate pair and one unit";
}

TEST(FunctionIndex, WhateverTheTextItEnds) {
  for (const char* text : {"", "(", ")", "}", "=>", "() =>", "`${", "`${`${", "/", "/[", "'", "function", "function (",
                           "{(){", "){", ") : {", "<>(){"}) {
    FindFunctions(text);
  }
}

TEST(AlignFunctions, TheSameSequenceIsItself) {
  const auto functions = FindFunctions("function a() {} const b = () => 1; function c(x) {}");
  EXPECT_THAT(AlignFunctions(functions, functions), ElementsAre(0, 1, 2));
}

TEST(AlignFunctions, WhatOnlyTheOriginalHasIsPassedOver) {
  // Function types look like arrow functions; the transpiler drops them.
  const auto original = FindFunctions(
      "type Callback = (error: Error, value: string) => void;\nfunction first(cb: (x: number) => string) { return cb; "
      "}\n"
      "interface I { run: () => void }\nconst second = (a: number) => { return work(a); };");
  const auto transpiled =
      FindFunctions("function first(cb) { return cb; }\nconst second = (a) => { return work(a); };");
  const auto aligned = AlignFunctions(transpiled, original);
  ASSERT_EQ(aligned.size(), 2u);
  EXPECT_EQ(original[aligned[0]].name, "first");
  EXPECT_EQ(original[aligned[0]].line, 2u);
  EXPECT_EQ(original[aligned[1]].name, "second");
  EXPECT_EQ(original[aligned[1]].line, 4u);
}

TEST(AlignFunctions, WhatOnlyTheTranspiledTextHasHasNoPlace) {
  const auto original = FindFunctions("function a() { one(); }\nfunction b() { two(); }");
  const auto transpiled =
      FindFunctions("function a() { one(); }\nfunction helper(x, y, z) { three(); }\nfunction b() { two(); }");
  EXPECT_THAT(AlignFunctions(transpiled, original), ElementsAre(0, kNoFunction, 1));
}

}  // namespace
}  // namespace leaktrace::js
