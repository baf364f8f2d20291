#include "analyzer/js/function_index.h"

#include <algorithm>
#include <array>
#include <optional>

#include "analyzer/js/tokens.h"

namespace leaktrace::js {
namespace {

constexpr char kNotAscii = '\x80';

constexpr std::array<std::string_view, 12> kControlWords = {"if",     "for",   "while", "switch", "catch",  "with",
                                                            "return", "await", "super", "import", "typeof", "function"};

// Words that no return type holds: what lies before them belongs to another statement.
constexpr std::array<std::string_view, 15> kStatementWords = {"class",  "interface", "enum", "namespace", "function",
                                                              "const",  "let",       "var",  "return",    "else",
                                                              "export", "import",    "try",  "finally",   "do"};

class FunctionFinder {
 public:
  explicit FunctionFinder(std::string_view text) : text_(text), tokens_(Tokenize(text)) {}

  std::vector<FunctionDefinition> Run() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (Is(i, "=>")) {
        Arrow(i);
      } else if (Is(i, "{")) {
        Braced(i);
      }
    }
    Locate();
    return std::move(functions_);
  }

 private:
  std::string_view Text(std::size_t i) const {
    return text_.substr(tokens_[i].begin, tokens_[i].end - tokens_[i].begin);
  }
  bool Is(std::size_t i, std::string_view text) const { return i < tokens_.size() && Text(i) == text; }
  bool IsWord(std::size_t i) const { return i < tokens_.size() && tokens_[i].kind == TokenKind::kWord; }

  // The parenthesis that closes the parameters, where `end` is the token behind them or behind a return type: `) {`,
  // `): Promise<T> {`.
  std::optional<std::size_t> ParametersBefore(std::size_t end) const {
    constexpr std::size_t kLongestType = 60;  // tokens
    if (end == 0) return std::nullopt;
    if (Is(end - 1, ")")) return end - 1;
    for (std::size_t at = end; at-- > 0 && end - at < kLongestType;) {
      if (Is(at, ":")) {
        if (at > 0 && Is(at - 1, ")")) return at - 1;
        continue;
      }
      if (Is(at, ")") || Is(at, "]") || Is(at, "}")) {
        if (tokens_[at].pair == kUnpaired) return std::nullopt;
        at = tokens_[at].pair;
        continue;
      }
      if (IsWord(at) && std::find(kStatementWords.begin(), kStatementWords.end(), Text(at)) != kStatementWords.end())
        return std::nullopt;
      if (Is(at, ";") || Is(at, "=") || Is(at, "=>") || Is(at, "(") || Is(at, "{")) return std::nullopt;
    }
    return std::nullopt;
  }

  void Arrow(std::size_t arrow) {
    if (arrow == 0) return;
    std::size_t parameters = arrow - 1;
    std::uint32_t count = 1;
    if (!IsWord(parameters) || (parameters > 0 && Is(parameters - 1, ":"))) {
      const auto closing = ParametersBefore(arrow);
      if (!closing || tokens_[*closing].pair == kUnpaired) return;
      parameters = tokens_[*closing].pair;
      count = CountParameters(parameters);
    }
    std::size_t before = parameters;
    if (before > 0 && Is(before - 1, "async")) --before;
    Add(NameBefore(before), parameters, count, arrow + 1);
  }

  // A brace behind a parameter list: of a function, a method, an accessor; or of a control statement.
  void Braced(std::size_t brace) {
    const auto closing = ParametersBefore(brace);
    if (!closing || tokens_[*closing].pair == kUnpaired) return;
    const std::size_t parameters = tokens_[*closing].pair;
    if (parameters == 0) return;
    std::size_t before = SkipTypeParameters(parameters);
    if (before == 0) return;
    const std::size_t last = before - 1;
    if (IsWord(last)) {
      if (Is(last, "function") && !(last > 0 && Is(last - 1, "."))) {
        std::size_t start = last;
        if (start > 0 && Is(start - 1, "async")) --start;
        Add(NameBefore(start), parameters, CountParameters(parameters), brace + 1);
        return;
      }
      const bool declared =
          last > 0 && (Is(last - 1, "function") || (Is(last - 1, "*") && last > 1 && Is(last - 2, "function")));
      const bool control = std::find(kControlWords.begin(), kControlWords.end(), Text(last)) != kControlWords.end();
      if (control && !declared) return;  // a method of such a name is passed over: rare, and AlignFunctions copes
      if (last > 0 && (Is(last - 1, ".") || Is(last - 1, "?.") || Is(last - 1, "new"))) return;
      Add(std::string(Text(last)), parameters, CountParameters(parameters), brace + 1);
    } else if (Is(last, "*") && last > 0 && Is(last - 1, "function")) {
      std::size_t start = last - 1;
      if (start > 0 && Is(start - 1, "async")) --start;
      Add(NameBefore(start), parameters, CountParameters(parameters), brace + 1);
    } else if (tokens_[last].kind == TokenKind::kString && IsMemberStart(last)) {
      Add(std::string(text_.substr(tokens_[last].begin + 1, tokens_[last].end - tokens_[last].begin - 2)), parameters,
          CountParameters(parameters), brace + 1);
    } else if (Is(last, "]") || tokens_[last].kind == TokenKind::kNumber) {
      if (tokens_[last].kind == TokenKind::kNumber
              ? IsMemberStart(last)
              : tokens_[last].pair != kUnpaired && IsMemberStart(tokens_[last].pair)) {
        Add("", parameters, CountParameters(parameters), brace + 1);
      }
    }
  }

  // True where a member of a class or an object literal may begin at token i.
  bool IsMemberStart(std::size_t i) const {
    if (i == 0) return false;
    constexpr std::array<std::string_view, 14> kBefore = {"{",       ",",         "}",        ";",       "*",
                                                          "get",     "set",       "static",   "async",   "public",
                                                          "private", "protected", "override", "readonly"};
    return std::find(kBefore.begin(), kBefore.end(), Text(i - 1)) != kBefore.end();
  }

  // In TypeScript `name<T extends U>(`: the token behind the name.
  std::size_t SkipTypeParameters(std::size_t parameters) const {
    constexpr std::size_t kLongest = 60;
    if (parameters == 0 || !Is(parameters - 1, ">")) return parameters;
    int depth = 0;
    for (std::size_t at = parameters; at-- > 0 && parameters - at < kLongest;) {
      if (Is(at, ">")) ++depth;
      if (Is(at, "<") && --depth == 0) return at;
      if (Is(at, "}") && tokens_[at].pair != kUnpaired) at = tokens_[at].pair;
      if (Is(at, ";")) break;
    }
    return parameters;
  }

  // The name that a function expression beginning at token i gets from where it stands: `name = `, `name: `.
  std::string NameBefore(std::size_t i) const {
    if (i < 2) return "";
    if (Is(i - 1, "=")) {
      // `const name: Type = ...`: the annotation lies between.
      std::size_t at = i - 2;
      constexpr std::size_t kLongestType = 40;
      for (std::size_t steps = 0; steps < kLongestType && at > 0; ++steps, --at) {
        if (Is(at, ":") && IsWord(at - 1)) return std::string(Text(at - 1));
        if (Is(at, ";") || Is(at, "=") || Is(at, "{") || Is(at, "}") || Is(at, "(") || Is(at, ",")) break;
        if (IsWord(at) && at > 0 && (Is(at - 1, "const") || Is(at - 1, "let") || Is(at - 1, "var")))
          return std::string(Text(at));
      }
      return IsWord(i - 2) ? std::string(Text(i - 2)) : "";
    }
    if (Is(i - 1, ":")) {
      if (IsWord(i - 2)) return std::string(Text(i - 2));
      if (tokens_[i - 2].kind == TokenKind::kString) {
        return std::string(text_.substr(tokens_[i - 2].begin + 1, tokens_[i - 2].end - tokens_[i - 2].begin - 2));
      }
    }
    return "";
  }

  std::uint32_t CountParameters(std::size_t opening) const {
    const std::size_t closing = tokens_[opening].pair;
    if (closing == kUnpaired || closing == opening + 1) return 0;
    std::uint32_t count = 1;
    for (std::size_t i = opening + 1; i < closing; ++i) {
      if (Is(i, ",") && i + 1 != closing) ++count;
      if (tokens_[i].pair != kUnpaired && tokens_[i].pair > i) i = tokens_[i].pair;
    }
    return count;
  }

  void Add(std::string name, std::size_t parameters, std::uint32_t count, std::size_t body) {
    FunctionDefinition function;
    function.name = std::move(name);
    function.parameters = tokens_[parameters].begin;
    function.parameter_count = count;
    constexpr std::size_t kLookAhead = 6;
    for (std::size_t i = body; i < tokens_.size() && i < body + kLookAhead; ++i) {
      if (!IsWord(i)) continue;
      function.body = Text(i);
      break;
    }
    functions_.push_back(std::move(function));
  }

  void Locate() {
    std::vector<FunctionDefinition*> by_place;
    for (FunctionDefinition& function : functions_) by_place.push_back(&function);
    std::sort(by_place.begin(), by_place.end(), [](auto* a, auto* b) { return a->parameters < b->parameters; });
    std::uint32_t line = 1;
    std::size_t line_start = 0, at = 0;
    for (FunctionDefinition* function : by_place) {
      for (; at < function->parameters; ++at) {
        if (text_[at] != '\n') continue;
        ++line;
        line_start = at + 1;
      }
      function->line = line;
      function->column = static_cast<std::uint32_t>(function->parameters - line_start + 1);
    }
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  std::vector<FunctionDefinition> functions_;
};

// How well two definitions agree; 0: they cannot be the same function.
int Agreement(const FunctionDefinition& a, const FunctionDefinition& b) {
  if (!a.name.empty() && !b.name.empty() && a.name != b.name) return 0;
  int score = 1;
  if (!a.name.empty() && a.name == b.name) score += 4;
  if (a.parameter_count == b.parameter_count) score += 2;
  if (a.body == b.body) score += 2;
  return score;
}

}  // namespace

std::string UnitsOfUtf8(std::string_view text) {
  std::string units;
  units.reserve(text.size());
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // engines do not count a byte order mark
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = text[i];
    if (c < 0x80) {
      units += static_cast<char>(c);
    } else if (c >= 0xc0) {
      units.append(c >= 0xf0 ? 2 : 1, kNotAscii);  // what UTF-8 says in four bytes UTF-16 says in two units
    }
  }
  return units;
}

std::string UnitsOfLatin1(std::string_view text) {
  std::string units(text);
  for (char& c : units) {
    if (static_cast<unsigned char>(c) >= 0x80) c = kNotAscii;
  }
  return units;
}

std::string UnitsOfUtf16(std::string_view little_endian) {
  std::string units(little_endian.size() / 2, kNotAscii);
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (little_endian[2 * i + 1] == 0 && static_cast<unsigned char>(little_endian[2 * i]) < 0x80)
      units[i] = little_endian[2 * i];
  }
  return units;
}

std::vector<FunctionDefinition> FindFunctions(std::string_view units) { return FunctionFinder(units).Run(); }

std::vector<std::size_t> AlignFunctions(const std::vector<FunctionDefinition>& transpiled,
                                        const std::vector<FunctionDefinition>& original) {
  std::vector<std::size_t> result(transpiled.size(), kNoFunction);
  // The common beginning and end first: in most files that is all there is.
  constexpr int kConvincing = 3;
  std::size_t first = 0;
  while (first < transpiled.size() && first < original.size() &&
         Agreement(transpiled[first], original[first]) >= kConvincing) {
    result[first] = first;
    ++first;
  }
  std::size_t end = transpiled.size(), original_end = original.size();
  while (end > first && original_end > first &&
         Agreement(transpiled[end - 1], original[original_end - 1]) >= kConvincing) {
    result[--end] = --original_end;
  }
  const std::size_t rows = end - first, columns = original_end - first;
  constexpr std::size_t kMostCells = 64 << 20;
  if (rows == 0 || columns == 0 || rows * columns > kMostCells) return result;
  // The rest by dynamic programming: the alignment that keeps the order with the greatest sum of agreements.
  enum Step : std::uint8_t { kSkipTranspiled, kSkipOriginal, kMatch };
  std::vector<Step> steps((rows + 1) * (columns + 1), kSkipTranspiled);
  std::vector<int> above(columns + 1, 0), here(columns + 1, 0);
  for (std::size_t i = rows; i-- > 0;) {
    std::swap(above, here);
    here[columns] = 0;
    for (std::size_t j = columns; j-- > 0;) {
      const int agreement = Agreement(transpiled[first + i], original[first + j]);
      Step& step = steps[i * (columns + 1) + j];
      here[j] = above[j];
      step = kSkipTranspiled;
      if (here[j + 1] > here[j]) {
        here[j] = here[j + 1];
        step = kSkipOriginal;
      }
      if (agreement >= kConvincing && above[j + 1] + agreement >= here[j]) {
        here[j] = above[j + 1] + agreement;
        step = kMatch;
      }
    }
  }
  for (std::size_t i = 0, j = 0; i < rows && j < columns;) {
    switch (steps[i * (columns + 1) + j]) {
      case kMatch:
        result[first + i++] = first + j++;
        break;
      case kSkipOriginal:
        ++j;
        break;
      case kSkipTranspiled:
        ++i;
        break;
    }
  }
  return result;
}

}  // namespace leaktrace::js
