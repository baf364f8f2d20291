// What the JavaScript agent tells: run phases, notes, the state of the JavaScript heap, routes.
//
// Every function here is called with the guard at kWriting. Texts need not be terminated; longer ones than a record
// holds are cut.
#pragma once

#include <cstddef>

#include "format/ring.h"
#include "preload/session/clock.h"
#include "preload/thread/ring_writer.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

inline void RecordMark(ThreadState& thread, format::MarkKind kind, const char* text, std::size_t bytes) {
  const format::MarkRecord record{kind, static_cast<std::uint32_t>(bytes)};
  AppendVariable(thread, format::Op::kMark, StampRelease(), &record, sizeof record, text, bytes);
}

inline void RecordJsHeap(ThreadState& thread, const format::JsHeapRecord& heap) {
  AppendVariable(thread, format::Op::kJsHeap, StampRelease(), &heap, sizeof heap);
}

// A JSON object: how many JavaScript objects there are by type.
inline void RecordObjectCounts(ThreadState& thread, const char* json, std::size_t bytes) {
  AppendVariable(thread, format::Op::kObjectCounts, StampRelease(), json, bytes);
}

// What the thread works on from here on is for this route; "": for none.
inline void RecordRoute(ThreadState& thread, const char* route, std::size_t bytes) {
  AppendVariable(thread, format::Op::kRoute, StampRelease(), route, bytes);
}

}  // namespace leaktrace::preload
