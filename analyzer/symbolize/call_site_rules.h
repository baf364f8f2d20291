// The text of call_site.rules, as it was when this was built.
#pragma once

namespace leaktrace::symbolize {

extern const char kBuiltInCallSiteRules[];

}  // namespace leaktrace::symbolize
