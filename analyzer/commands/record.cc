// `leaktrace record`: started by the preloaded library for each traced process; not for users.
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>

#include "analyzer/commands/commands.h"
#include "analyzer/record/recorder.h"

namespace leaktrace::commands {
namespace {

int RunRecorder(int session_descriptor) {
  prctl(PR_SET_NAME, "leaktrace");
  // The recorder ends when its target has: what ends a service or a terminal must not take it away before. A file that
  // may grow no more is an error to report.
  for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGXFSZ}) std::signal(number, SIG_IGN);
  const absl::Status status = record::Record(session_descriptor);
  if (status.ok()) return 0;
  std::fprintf(stderr, "leaktrace record: %s\n", std::string(status.message()).c_str());
  return 2;
}

}  // namespace

void AddRecord(CLI::App& app, int& exit_status) {
  // An empty group hides it from help.
  auto* command = app.add_subcommand("record", "Record one session (started by the preloaded library)")->group("");
  auto* descriptor = new int(-1);
  command->add_option("--session-fd", *descriptor, "Descriptor of the session's memory")->required();
  command->callback([&exit_status, descriptor] { exit_status = RunRecorder(*descriptor); });
}

}  // namespace leaktrace::commands
