#include "analyzer/symbolize/demangle.h"

#include <cstdlib>
#include <memory>

#include "libiberty/demangle.h"

namespace leaktrace::symbolize {
namespace {

constexpr std::size_t kMaxSymbol = 32 << 10;
constexpr std::size_t kMaxParameters = 32;
constexpr std::size_t kMaxTemplateArguments = 16;
constexpr int kMaxNesting = 32;

struct Limits {
  std::size_t parameters, template_arguments;
};

struct Freed {
  void operator()(char* text) const { std::free(text); }
};

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
}

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// Length of the operator's signs after the word `operator`; 0 for a conversion (`operator bool`) and for new and
// delete.
std::size_t OperatorSigns(std::string_view text) {
  for (std::string_view signs : {"()", "[]", "<=>", "<<=", ">>=", "->*", "<<", ">>", "<=", ">=", "->", "<", ">"}) {
    if (text.substr(0, signs.size()) == signs) return signs.size();
  }
  return 0;
}

// Takes a demangled name apart at its brackets. Names nest (`f<g(h<1>)>`), so does this, to a depth.
class Shortener {
 public:
  Shortener(std::string_view text, Limits limits, int depth) : text_(text), limits_(limits), depth_(depth) {}

  std::string Run() {
    while (at_ < text_.size()) Step();
    while (!out_.empty() && out_.back() == ' ') out_.pop_back();
    return std::move(out_);
  }

 private:
  bool StartsWith(std::string_view prefix) const { return text_.substr(at_, prefix.size()) == prefix; }
  void Copy(std::size_t count) {
    out_.append(text_.substr(at_, count));
    at_ += std::min(count, text_.size() - at_);
  }

  // Index after the bracket that closes the one at `from`; the end of the text if none does.
  std::size_t Closing(std::size_t from) const {
    int open = 0;
    for (std::size_t i = from; i < text_.size(); ++i) {
      if (text_.substr(i, 8) == "operator" && (i == 0 || !IsWordCharacter(text_[i - 1]))) {
        i += 7;
        i += OperatorSigns(text_.substr(i + 1));
        continue;
      }
      const char c = text_[i];
      if (c == '>' && i > 0 && (text_[i - 1] == '-' || text_[i - 1] == '=')) continue;  // -> and =>
      if (c == '(' || c == '<' || c == '{' || c == '[') ++open;
      if ((c == ')' || c == '>' || c == '}' || c == ']') && --open == 0) return i + 1;
    }
    return text_.size();
  }

  std::string Inner(std::size_t begin, std::size_t end) const {
    const std::string_view part = text_.substr(begin, end - begin);
    return depth_ >= kMaxNesting ? std::string(part) : Shortener(part, limits_, depth_ + 1).Run();
  }

  void Step() {
    constexpr std::string_view kAnonymous = "(anonymous namespace)";
    const bool after_operator = operator_end_ == at_;
    const bool component_begins = !after_operator && (out_.empty() || out_.back() == ':' || out_.back() == ' ' ||
                                                      out_.back() == '<' || out_.back() == '&');
    if (StartsWith("operator") && (out_.empty() || !IsWordCharacter(out_.back()))) {
      const std::size_t signs = OperatorSigns(text_.substr(std::min(at_ + 8, text_.size())));
      Copy(8 + signs);
      // `operator< <int>`: the space keeps the sign and the template's arguments apart.
      if (StartsWith(" <")) ++at_;
      operator_end_ = at_;
    } else if (StartsWith(kAnonymous)) {
      Copy(kAnonymous.size());
    } else if (text_[at_] == '<' && component_begins) {
      // Rust: <Type as Trait>::method.
      const std::size_t end = Closing(at_);
      out_ += '<' + Inner(at_ + 1, end - 1) + '>';
      at_ = end;
    } else if (text_[at_] == '<') {
      Bracket(limits_.template_arguments);
    } else if (text_[at_] == '(' && !component_begins) {
      Bracket(limits_.parameters);
      if (limits_.parameters == 0) DropQualifiers();
    } else if (text_[at_] == '{') {
      Braces();
    } else if (StartsWith("[abi:") || StartsWith("[clone ")) {
      at_ = Closing(at_);
    } else {
      Copy(1);
    }
  }

  void Bracket(std::size_t limit) {
    const std::size_t end = Closing(at_);
    if (limit != 0 && end - at_ - 2 <= limit) {
      out_ += text_.substr(at_, end - at_);
    } else if (!out_.empty() && out_.back() == ':') {
      out_.resize(out_.size() - 2);  // Rust: `f::<T>` is `f` without its arguments
    }
    at_ = end;
  }

  void DropQualifiers() {
    for (std::string_view qualifier : {" const", " volatile", " &&", " &"}) {
      if (StartsWith(qualifier)) at_ += qualifier.size();
    }
  }

  // {lambda(int, char)#2} -> {lambda#2}; others as they are.
  void Braces() {
    const std::size_t end = Closing(at_);
    constexpr std::string_view kLambda = "{lambda(";
    if (StartsWith(kLambda)) {
      const std::size_t parameters_end = Closing(at_ + kLambda.size() - 1);
      out_ += "{lambda";
      out_ += text_.substr(parameters_end, end > parameters_end ? end - parameters_end : 0);
    } else {
      out_ += text_.substr(at_, end - at_);
    }
    at_ = end;
  }

  std::string_view text_;
  const Limits limits_;
  const int depth_;
  std::size_t at_ = 0;
  std::size_t operator_end_ = std::string_view::npos;  // where the last operator's signs ended
  std::string out_;
};

std::string Shorten(std::string_view name, Limits limits) {
  if (name.find_first_of("<({[") == std::string_view::npos || name.size() > kMaxSymbol) return std::string(name);
  std::string text(name);
  for (std::string_view space : {"std::__cxx11::", "std::__1::", "std::__ndk1::"}) ReplaceAll(text, space, "std::");
  for (std::string_view string : {"std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
                                  "std::basic_string<char, std::char_traits<char>, std::allocator<char>>"}) {
    ReplaceAll(text, string, "std::string");
  }
  return Shortener(text, limits, 0).Run();
}

// Of Rust's older scheme: `::h0123456789abcdef` at the end.
std::string_view WithoutRustHash(std::string_view name) {
  constexpr std::size_t kHashBytes = 19;
  if (name.size() <= kHashBytes || name.substr(name.size() - kHashBytes, 3) != "::h") return name;
  const bool is_hash =
      name.find_first_not_of("0123456789abcdef", name.size() - kHashBytes + 3) == std::string_view::npos;
  return is_hash ? name.substr(0, name.size() - kHashBytes) : name;
}

// Without symbol version and the marks of split parts, which libiberty would print as `[clone .cold]`.
std::string_view WithoutSuffixes(std::string_view symbol) {
  symbol = symbol.substr(0, symbol.find('@', 1));
  for (std::string_view mark : {".cold", ".part.", ".isra.", ".constprop.", ".llvm.", ".lto_priv.", ".localalias"}) {
    if (const std::size_t at = symbol.find(mark, 1); at != std::string_view::npos) symbol = symbol.substr(0, at);
  }
  return symbol;
}

std::string Demangle(std::string_view symbol, int rust_options) {
  symbol = WithoutSuffixes(symbol);
  if (symbol.size() > kMaxSymbol || (symbol.substr(0, 2) != "_Z" && symbol.substr(0, 2) != "_R"))
    return std::string(symbol);
  const std::string mangled(symbol);
  // Rust's older scheme looks like C++'s: what is not Rust is refused here.
  std::unique_ptr<char, Freed> name(rust_demangle(mangled.c_str(), rust_options));
  if (name == nullptr) name.reset(cplus_demangle_v3(mangled.c_str(), DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP));
  return name == nullptr ? mangled : std::string(name.get());
}

}  // namespace

std::string DemangleFull(std::string_view symbol) { return Demangle(symbol, DMGL_VERBOSE); }

std::string DemangleShort(std::string_view symbol) { return ShortenName(Demangle(symbol, DMGL_NO_OPTS)); }

std::string ShortenName(std::string_view name) {
  name = WithoutRustHash(name);
  return Shorten(name, {kMaxParameters, kMaxTemplateArguments});
}

std::string BareName(std::string_view name) { return Shorten(name, {0, 0}); }

}  // namespace leaktrace::symbolize
