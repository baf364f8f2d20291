#include "analyzer/symbolize/call_site.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzer/symbolize/call_site_rules.h"
#include "analyzer/symbolize/demangle.h"

namespace leaktrace::symbolize {
namespace {

// Shell-like: * any characters, ? one.
bool MatchesGlob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0;
  std::size_t star = std::string_view::npos, retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// Takes the first word off `text`.
std::string_view TakeWord(std::string_view& text) {
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text = Trim(text.substr(end));
  return word;
}

std::optional<SiteRole> ParseRole(std::string_view word) {
  if (word == "site") return SiteRole::kSite;
  if (word == "runtime") return SiteRole::kRuntime;
  if (word == "allocator") return SiteRole::kAllocator;
  return std::nullopt;
}

}  // namespace

CallSiteRules::CallSiteRules() { Add(kBuiltInCallSiteRules, "built-in rules").IgnoreError(); }

absl::Status CallSiteRules::Add(std::string_view text, std::string_view name) {
  std::vector<Rule> added;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view rest = Trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (rest.empty() || rest[0] == '#') continue;
    const auto error = [&, number](const char* what) {
      return absl::InvalidArgumentError(
          absl::StrCat(std::string(name), ":", number, ": ", what, "; a rule reads ROLE FIELD PATTERN"));
    };
    const std::optional<SiteRole> role = ParseRole(TakeWord(rest));
    if (!role) return error("the first word must be site, runtime or allocator");
    const std::string_view field_name = TakeWord(rest);
    Field field = Field::kFunction;
    if (field_name == "module") {
      field = Field::kModule;
    } else if (field_name == "file") {
      field = Field::kFile;
    } else if (field_name != "function") {
      return error("the second word must be function, module or file");
    }
    if (rest.empty()) return error("the pattern is missing");
    added.push_back({*role, field, std::min(rest.find_first_of("*?"), rest.size()), std::string(rest)});
  }
  rules_.insert(rules_.begin(), std::make_move_iterator(added.begin()), std::make_move_iterator(added.end()));
  return absl::OkStatus();
}

absl::Status CallSiteRules::AddFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return Add(text, path);
}

const CallSiteRules::Rule* CallSiteRules::Match(const Line& line) const {
  std::string bare;
  std::string_view function = line.function;
  if (function.find_first_of("(<") != std::string_view::npos) function = bare = BareName(function);
  for (const Rule& rule : rules_) {
    const std::string_view text = rule.field == Field::kFunction ? function
                                  : rule.field == Field::kModule ? std::string_view(line.module)
                                                                 : std::string_view(line.file);
    if (text.empty() || text.compare(0, rule.literal, rule.pattern, 0, rule.literal) != 0) continue;
    if (MatchesGlob(std::string_view(rule.pattern).substr(rule.literal),
                    text.substr(std::min(rule.literal, text.size())))) {
      return &rule;
    }
  }
  return nullptr;
}

SiteRole CallSiteRules::RoleOf(const Line& line) const {
  if (const Rule* rule = Match(line)) return rule->role;
  const bool named = !line.function.empty() || line.kind == LineKind::kJs;
  // Of `[in bio_mem.cc]` only the source file is known.
  return named && line.function.compare(0, 4, "[in ") != 0 ? SiteRole::kSite : SiteRole::kUnnamed;
}

std::size_t CallSiteRules::Site(absl::Span<const Line* const> stack) const {
  std::size_t best = 0;
  SiteRole best_role = SiteRole::kAllocator;
  for (std::size_t i = 0; i < stack.size(); ++i) {
    const SiteRole role = RoleOf(*stack[i]);
    if (role < best_role) {
      best = i;
      best_role = role;
      if (role == SiteRole::kSite) break;
    }
  }
  return best;
}

}  // namespace leaktrace::symbolize
