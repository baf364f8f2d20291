// The part of Node-API that is used, as Node's documentation and js_native_api.h declare it (version 1 of the ABI,
// stable since Node 8). The symbols are weak: where the process has no Node-API they are null, and nothing calls the
// registration either.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct napi_env__;
struct napi_value__;
struct napi_callback_info__;
using napi_env = napi_env__*;
using napi_value = napi_value__*;
using napi_callback_info = napi_callback_info__*;
using napi_callback = napi_value (*)(napi_env, napi_callback_info);
using napi_status = int;

inline constexpr napi_status napi_ok = 0;
inline constexpr std::size_t kNapiAutoLength = ~std::size_t{0};

#define LEAKTRACE_WEAK __attribute__((weak))
LEAKTRACE_WEAK napi_status napi_create_function(napi_env env, const char* name, std::size_t length,
                                                napi_callback callback, void* data, napi_value* result);
LEAKTRACE_WEAK napi_status napi_set_named_property(napi_env env, napi_value object, const char* name, napi_value value);
LEAKTRACE_WEAK napi_status napi_get_cb_info(napi_env env, napi_callback_info info, std::size_t* count,
                                            napi_value* arguments, napi_value* this_value, void** data);
LEAKTRACE_WEAK napi_status napi_get_value_string_utf8(napi_env env, napi_value value, char* buffer, std::size_t bytes,
                                                      std::size_t* written);
LEAKTRACE_WEAK napi_status napi_get_value_double(napi_env env, napi_value value, double* result);
#undef LEAKTRACE_WEAK

}  // extern "C"
