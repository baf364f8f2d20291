// The part of V8's public C++ API that is used, declared as its headers define it (v8-callbacks.h, v8-isolate.h of Node
// 20 to 26), and its symbols. Node exports them; they are looked up by name, so that nothing here is needed where there
// is no V8.
#pragma once

#include <cstddef>

namespace leaktrace::preload::js {

struct JitCodeEvent {
  enum Type : int { kAdded = 0, kMoved = 1, kRemoved = 2, kAddLine = 3, kStartLines = 4, kEndLines = 5 };
  enum CodeType : int { kByteCode = 0, kJitCode = 1, kWasmCode = 2 };
  Type type;
  CodeType code_type;
  void* code_start;
  std::size_t code_bytes;
  void* script;     // Local<UnboundScript>
  void* user_data;  // the handler's to set at kStartLines; given back with kAddLine and kEndLines
  void* wasm_source;
  union {
    struct {
      const char* text;
      std::size_t bytes;
    } name;  // kAdded; not terminated
    struct {
      std::size_t offset, position;
      int type;
    } line;           // kAddLine: source position in UTF-16 units
    void* new_start;  // kMoved
  };
  void* isolate;
};

inline constexpr int kJitCodeEventEnumerateExisting = 1;
inline constexpr int kGcMarkSweepCompact =
    1 << 2;  // v8::GCType: kGCTypeScavenge 1, kGCTypeMinorMarkSweep 2, kGCTypeMarkSweepCompact 4

using GcCallback = void (*)(void* isolate, int type, int flags, void* data);

struct V8Api {
  void* (*try_get_current)();
  void (*set_jit_code_event_handler)(void* isolate, int options, void (*handler)(const JitCodeEvent*));
  void (*request_interrupt)(void* isolate, void (*callback)(void* isolate, void* data), void* data);
  void (*add_gc_prologue)(void* isolate, GcCallback callback, void* data, int types);
  void (*add_gc_epilogue)(void* isolate, GcCallback callback, void* data, int types);
  void (*set_flags)(const char* flags);
  void (*get_embedded_code)(void* isolate, const void** start, std::size_t* bytes);
  void (*get_code_range)(void* isolate, void** start, std::size_t* bytes);
  const int* bytecode_array_offset;  // from rbp, in bytes (v8dbg_off_fp_bytecode_array)
  const int* bytecode_offset_offset;
};

}  // namespace leaktrace::preload::js
