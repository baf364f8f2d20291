#include "analyzer/js/tokens.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace leaktrace::js {
namespace {

bool IsWordStart(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '#' || c >= 0x80;
}
bool IsDigit(unsigned char c) { return c >= '0' && c <= '9'; }
bool IsWord(unsigned char c) { return IsWordStart(c) || IsDigit(c); }

// Words after which a slash begins a regular expression (ECMA-262, the InputElementRegExp goal): an operand is
// expected.
constexpr std::array<std::string_view, 14> kBeforeOperand = {"return", "typeof", "case",  "in",        "of",
                                                             "delete", "void",   "throw", "new",       "do",
                                                             "await",  "else",   "yield", "instanceof"};

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  std::vector<Token> Run() {
    while (at_ < text_.size()) Next();
    return std::move(tokens_);
  }

 private:
  char Peek(std::size_t ahead) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void Add(TokenKind kind, std::size_t end) {
    tokens_.push_back(Token{kind, at_, end});
    at_ = end;
  }

  void Next() {
    const unsigned char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') {
      ++at_;
    } else if (c == '/' && Peek(1) == '/') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (c == '/' && Peek(1) == '*') {
      const std::size_t end = text_.find("*/", at_ + 2);
      at_ = end == std::string_view::npos ? text_.size() : end + 2;
    } else if (IsWordStart(c) || c == '\\') {
      std::size_t end = at_ + 1;
      while (end < text_.size() && (IsWord(text_[end]) || text_[end] == '\\')) ++end;
      Add(TokenKind::kWord, end);
    } else if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) {
      std::size_t end = at_ + 1;
      while (end < text_.size() && (IsWord(text_[end]) || text_[end] == '.')) ++end;
      Add(TokenKind::kNumber, end);
    } else if (c == '"' || c == '\'') {
      String(c);
    } else if (c == '`') {
      ++at_;
      Template();
    } else if (c == '/' && BeginsRegex()) {
      Regex();
    } else {
      Punctuator(c);
    }
  }

  // A string ends on its line; a quote that is not closed there is an apostrophe in JSX text.
  void String(char quote) {
    for (std::size_t end = at_ + 1; end < text_.size() && text_[end] != '\n'; ++end) {
      if (text_[end] == '\\') {
        ++end;
      } else if (text_[end] == quote) {
        Add(TokenKind::kString, end + 1);
        return;
      }
    }
    ++at_;
  }

  // From behind the opening backquote, or behind the brace that closes an expression, to the next `${` or the end.
  void Template() {
    const std::size_t begin = at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\\') {
        at_ += 2;
      } else if (c == '`') {
        ++at_;
        tokens_.push_back(Token{TokenKind::kTemplate, begin, at_});
        return;
      } else if (c == '$' && Peek(1) == '{') {
        ++at_;
        tokens_.push_back(Token{TokenKind::kTemplate, begin, at_});
        template_braces_.push_back(open_.size());
        Open();
        return;
      } else {
        ++at_;
      }
    }
  }

  bool BeginsRegex() const {
    if (tokens_.empty()) return true;
    const Token& before = tokens_.back();
    const std::string_view word = text_.substr(before.begin, before.end - before.begin);
    if (before.kind == TokenKind::kWord)
      return std::find(kBeforeOperand.begin(), kBeforeOperand.end(), word) != kBeforeOperand.end();
    if (before.kind == TokenKind::kTemplate) return word.ends_with('$');  // the beginning of an expression
    if (before.kind != TokenKind::kPunctuator) return false;
    return word != ")" && word != "]" && word != "}";
  }

  void Regex() {
    bool in_class = false;
    for (std::size_t end = at_ + 1; end < text_.size() && text_[end] != '\n'; ++end) {
      const char c = text_[end];
      if (c == '\\') {
        ++end;
      } else if (c == '[') {
        in_class = true;
      } else if (c == ']') {
        in_class = false;
      } else if (c == '/' && !in_class) {
        ++end;
        while (end < text_.size() && IsWord(text_[end])) ++end;
        Add(TokenKind::kRegex, end);
        return;
      }
    }
    Add(TokenKind::kPunctuator, at_ + 1);
  }

  void Open() {
    open_.push_back(tokens_.size());
    Add(TokenKind::kPunctuator, at_ + 1);
  }

  void Punctuator(char c) {
    if (c == '(' || c == '[' || c == '{') {
      Open();
    } else if (c == ')' || c == ']' || c == '}') {
      Close(c);
    } else if ((c == '=' && Peek(1) == '>') || (c == '?' && Peek(1) == '.' && !IsDigit(Peek(2)))) {
      Add(TokenKind::kPunctuator, at_ + 2);
    } else if (c == '.' && Peek(1) == '.' && Peek(2) == '.') {
      Add(TokenKind::kPunctuator, at_ + 3);
    } else {
      Add(TokenKind::kPunctuator, at_ + 1);
    }
  }

  void Close(char c) {
    const char opening = c == ')' ? '(' : c == ']' ? '[' : '{';
    const bool paired = !open_.empty() && text_[tokens_[open_.back()].begin] == opening;
    if (paired) {
      tokens_[open_.back()].pair = tokens_.size();
      const std::size_t pair = open_.back();
      open_.pop_back();
      Add(TokenKind::kPunctuator, at_ + 1);
      tokens_.back().pair = pair;
    } else {
      Add(TokenKind::kPunctuator, at_ + 1);
    }
    if (c == '}' && !template_braces_.empty() && template_braces_.back() == open_.size()) {
      template_braces_.pop_back();
      Template();
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
  std::vector<std::size_t> open_;             // brackets that are not closed yet
  std::vector<std::size_t> template_braces_;  // how many were open before each `${`
};

}  // namespace

std::vector<Token> Tokenize(std::string_view text) { return Tokenizer(text).Run(); }

}  // namespace leaktrace::js
