// Prepares what the library needs of the target's modules, in the session's memory: unwind rows, the hook map,
// JavaScriptCore's layout.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzer/record/runtime_version.h"
#include "analyzer/record/session.h"
#include "format/ring.h"

namespace leaktrace::record {

// One thread. Modules are opened through /proc/PID/root, so that a target in another mount namespace shows its own
// files.
class TargetTables {
 public:
  TargetTables(const Session& session, std::string cache_directory);

  struct Rows {
    std::uint32_t count = 0;        // 0: frame pointers it is
    std::uint32_t unsupported = 0;  // that have no compact form
  };
  // Builds a module's rows, publishes them and counts the module as ready, in that order.
  Rows AddModule(const format::ModuleRecord& module, const std::string& path);
  // The rows of the module at this address are void.
  void RemoveModule(std::uint64_t load_address);

  // What the executable alone decides. Takes as long as it takes: the library waits for it.
  void PrepareExecutable();
  [[nodiscard]] const RuntimeVersion& runtime() const { return runtime_; }
  [[nodiscard]] const std::vector<std::uint8_t>& build_id() const { return build_id_; }

 private:
  Rows PublishRows(const format::ModuleRecord& module, const std::string& path);
  [[nodiscard]] std::string PathFromHere(const std::string& path) const;
  void ModuleReady();

  const Session& session_;
  std::string cache_directory_;
  RuntimeVersion runtime_;
  std::vector<std::uint8_t> build_id_;
  std::uint32_t next_slot_ = 0;
  std::size_t rows_used_ = 0;
};

}  // namespace leaktrace::record
