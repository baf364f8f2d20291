// Events of the process: fork, exec, spawn, exit.
#pragma once

#include "format/ring.h"
#include "preload/base/memory.h"
#include "preload/session/clock.h"
#include "preload/thread/ring_writer.h"

namespace leaktrace::preload {

// `status` is an exit status or a child's process id; `text` the path of what is executed, null if there is none. With
// the guard at kWriting.
inline void RecordProcessEvent(ThreadState& thread, format::ProcessEvent event, std::int32_t status,
                               const char* text = nullptr) {
  format::ProcessRecord record{event, status, 0, 0};
  std::size_t bytes = text != nullptr ? Length(text) : 0;
  if (bytes > format::kMaxPath) bytes = format::kMaxPath;
  record.text_bytes = static_cast<std::uint32_t>(bytes);
  AppendVariable(thread, format::Op::kProcess, StampRelease(), &record, sizeof(record), text, bytes);
}

}  // namespace leaktrace::preload
