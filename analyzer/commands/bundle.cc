#include "analyzer/symbolize/bundle.h"

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzer/commands/commands.h"
#include "analyzer/commands/common.h"

namespace leaktrace::commands {
namespace {

struct Options {
  std::string trace, output;
  report::NameOptions names;
};

bool HasName(absl::Span<const symbolize::Line> lines) {
  return !lines.empty() && (!lines[0].function.empty() || lines[0].line != 0);
}

int Run(Options options) {
  const absl::StatusOr<model::TraceModel> model = Load(options.trace);
  if (!model.ok()) return Fail(model.status());
  // Names are shortened when they are shown, as a later reader wishes.
  options.names.symbols.full_names = true;
  const auto names = report::Names::Make(*model, options.names);
  if (!names.ok()) return Fail(names.status());
  std::vector<model::FrameId> frames(model->stacks.size());
  std::iota(frames.begin(), frames.end(), model::FrameId{1});
  (*names)->Resolve(frames);
  std::vector<symbolize::BundledFrame> bundled;
  for (const model::FrameId frame : frames) {
    const absl::Span<const symbolize::Line> lines = (*names)->Lines(frame);
    if (HasName(lines)) bundled.push_back({frame, lines});
  }
  const std::string& output = options.output.empty() ? options.trace : options.output;
  if (const absl::Status written = symbolize::WriteBundle(options.trace, output, bundled); !written.ok())
    return Fail(written);
  for (const std::string& note : (*names)->notes()) Fail(note);
  return Print(absl::StrCat(output, ": names of ", bundled.size(), " of ", frames.size(), " frames\n")) ? kDone
                                                                                                        : kUnusable;
}

}  // namespace

void AddBundle(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("bundle", "Put names and source lines into a trace, to read it on another machine");
  auto options = std::make_shared<Options>();
  command->add_option("TRACE", options->trace, "A finished trace")->required();
  command->add_option("-o,--output", options->output, "The trace with names (default: TRACE itself)")
      ->type_name("PATH");
  AddNameOptions(*command, options->names);
  command->callback([options, &exit_status] { exit_status = Run(*options); });
}

}  // namespace leaktrace::commands
