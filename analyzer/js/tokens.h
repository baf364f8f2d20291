// Splits JavaScript, TypeScript or JSX into tokens, as far as is needed to find functions: strings, templates, comments
// and regular expressions are told from code, brackets are paired.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace leaktrace::js {

enum class TokenKind : std::uint8_t { kWord, kNumber, kString, kTemplate, kRegex, kPunctuator };

inline constexpr std::size_t kUnpaired = static_cast<std::size_t>(-1);

struct Token {
  TokenKind kind;
  std::size_t begin, end;        // offsets in the text
  std::size_t pair = kUnpaired;  // for ( ) [ ] { }: index of the other one
};

// Never fails: what is malformed is skipped. Expressions inside templates are tokens too. `=>`, `?.` and `...` are one
// token; every other punctuator is one character.
std::vector<Token> Tokenize(std::string_view text);

}  // namespace leaktrace::js
