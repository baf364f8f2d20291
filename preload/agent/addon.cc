// The door for JavaScript: the preloaded library loaded once more, as a Node-API addon. The loader hands out the
// library that is there already, and the runtime calls the registration function below. What it exports is for
// agent.cjs, not for users.
//
//   mark(kind, text)     kind as in MarkKind: 1 a run phase begins, 2 a note, 3 a collection was forced
//   heap(used, total, external, arrayBuffers, rss)   bytes; a negative number: not known
//   counts(json)         objects by type
//   route(text)          "" = none
#include "preload/agent/node_api.h"
#include "preload/base/attributes.h"
#include "preload/record/mark.h"
#include "preload/thread/guard.h"

namespace leaktrace::preload {
namespace {

constexpr std::size_t kMostArguments = 5;
constexpr std::size_t kLongestText = 8 << 10;

struct Arguments {
  Arguments(napi_env environment, napi_callback_info info) : env(environment) {
    count = kMostArguments;
    if (napi_get_cb_info(env, info, &count, values, nullptr, nullptr) != napi_ok) count = 0;
  }
  // The length of the text in `buffer`; 0 when there is none.
  std::size_t Text(std::size_t index, char* buffer, std::size_t bytes) const {
    std::size_t written = 0;
    if (index >= count || napi_get_value_string_utf8(env, values[index], buffer, bytes, &written) != napi_ok) return 0;
    return written;
  }
  double Number(std::size_t index) const {
    double number = -1;
    if (index >= count || napi_get_value_double(env, values[index], &number) != napi_ok) return -1;
    return number;
  }

  napi_env env;
  std::size_t count;
  napi_value values[kMostArguments];
};

std::uint64_t Bytes(double number) { return number >= 0 ? static_cast<std::uint64_t>(number) : ~std::uint64_t{0}; }

template <typename Record>
void WithThread(Record record) {
  const HookGuard guard;
  if (!guard.Records()) return;
  guard.Write();
  record(guard.Thread());
}

napi_value Mark(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  char text[kLongestText];
  const std::size_t bytes = arguments.Text(1, text, sizeof text);
  const auto kind = static_cast<format::MarkKind>(static_cast<std::uint32_t>(arguments.Number(0)));
  WithThread([&](ThreadState& thread) { RecordMark(thread, kind, text, bytes); });
  return nullptr;
}

napi_value Heap(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const format::JsHeapRecord heap{Bytes(arguments.Number(0)), Bytes(arguments.Number(1)), Bytes(arguments.Number(2)),
                                  Bytes(arguments.Number(3)), Bytes(arguments.Number(4))};
  WithThread([&](ThreadState& thread) { RecordJsHeap(thread, heap); });
  return nullptr;
}

napi_value Counts(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  char text[kLongestText];
  const std::size_t bytes = arguments.Text(0, text, sizeof text);
  WithThread([&](ThreadState& thread) { RecordObjectCounts(thread, text, bytes); });
  return nullptr;
}

napi_value Route(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  char text[kLongestText];
  const std::size_t bytes = arguments.Text(0, text, sizeof text);
  WithThread([&](ThreadState& thread) { RecordRoute(thread, text, bytes); });
  return nullptr;
}

}  // namespace
}  // namespace leaktrace::preload

// Called by the runtime, by this name (Node-API: NODE_API_MODULE_INIT).
LEAKTRACE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  using namespace leaktrace::preload;  // NOLINT(google-build-using-namespace): the functions of this file
  struct Function {
    const char* name;
    napi_callback callback;
  };
  for (const Function& function :
       {Function{"mark", Mark}, Function{"heap", Heap}, Function{"counts", Counts}, Function{"route", Route}}) {
    napi_value value = nullptr;
    if (napi_create_function(env, function.name, kNapiAutoLength, function.callback, nullptr, &value) != napi_ok ||
        napi_set_named_property(env, exports, function.name, value) != napi_ok) {
      return nullptr;
    }
  }
  return exports;
}
