#include "analyzer/record/header_chunk.h"

#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzer/trace/capnp_data.h"
#include "format/chunk.h"
#include "format/trace.capnp.h"

namespace leaktrace::record {
namespace {

std::string WorkingDirectory(std::uint32_t pid) {
  char path[format::kMaxPath];
  const ssize_t size = readlink(absl::StrCat("/proc/", pid, "/cwd").c_str(), path, sizeof(path));
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : "";
}

const char* NameOf(format::Unwinder unwinder) {
  switch (unwinder) {
    case format::Unwinder::kRows:
      return "rows";
    case format::Unwinder::kFramePointer:
      return "fp";
    case format::Unwinder::kLibunwind:
      return "libunwind";
  }
  return "unknown";
}

const char* NameOf(format::JsNames names) {
  switch (names) {
    case format::JsNames::kNames:
      return "names";
    case format::JsNames::kOff:
      return "off";
    case format::JsNames::kExact:
      return "exact";
  }
  return "unknown";
}

}  // namespace

void BuildHeader(const Session& session, const TargetTables& tables, const Clock& clock,
                 capnp::MessageBuilder& message) {
  const SessionFacts& facts = session.facts();
  auto header = message.initRoot<format::trace::TraceHeader>();
  header.setFormatVersion(format::kTraceVersion);
  header.setExecutable(facts.executable);
  auto arguments = header.initArguments(static_cast<unsigned>(facts.arguments.size()));
  for (unsigned i = 0; i < facts.arguments.size(); ++i) arguments.set(i, facts.arguments[i]);
  header.setPid(facts.pid);
  header.setParentPid(facts.parent_pid);
  header.setBuildId(trace::AsData(tables.build_id()));
  header.setRuntimeName(tables.runtime().name);
  header.setRuntimeVersion(tables.runtime().version);
  header.setStartRealtime(facts.start_realtime_ns);
  header.setClock(facts.clock == format::ClockKind::kTsc ? "tsc" : "sequence");
  header.setTicksPerSecond(clock.TicksPerSecond());
  const format::SessionOptions& options = facts.options;
  const std::vector<std::pair<const char*, std::string>> named = {
      {"ring_bytes", absl::StrCat(options.ring_bytes)},
      {"depth", absl::StrCat(options.max_depth)},
      {"unwind", NameOf(options.unwinder)},
      {"overflow", options.overflow == format::OverflowPolicy::kWait ? "wait" : "drop"},
      {"js", NameOf(options.js)},
      {"hooks", absl::StrCat(options.hooks)},
      {"keep_libpas", absl::StrCat(options.keep_libpas)},
  };
  auto list = header.initOptions(static_cast<unsigned>(named.size()));
  for (unsigned i = 0; i < named.size(); ++i) {
    list[i].setName(named[i].first);
    list[i].setValue(named[i].second);
  }
  header.setRecorderVersion(LEAKTRACE_VERSION);
  header.setPageSize(static_cast<std::uint32_t>(sysconf(_SC_PAGESIZE)));
  header.setWorkingDirectory(WorkingDirectory(facts.pid));
  header.setCpus(static_cast<std::uint32_t>(sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace leaktrace::record
