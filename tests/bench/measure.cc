#include "tests/bench/measure.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>

namespace leaktrace::bench {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

Cost Measure(const Run& run) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  Cost cost;
  const auto start = std::chrono::steady_clock::now();
  {
    e2e::Process process(run.argv, {run.environment, run.directory, {}});
    if (run.meanwhile) run.meanwhile(process);
    const e2e::ProcessResult result = process.Finish(std::chrono::minutes(5));
    cost.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    cost.program_cpu = result.cpu_seconds;
    cost.program_rss = result.peak_rss;
    cost.exit_status = result.exit_status;
    cost.output = result.output;
  }
  cost.tree_cpu = cost.program_cpu;
  rusage usage;
  while (wait4(-1, nullptr, 0, &usage) > 0) {
    cost.tree_cpu += Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
    cost.others_rss = std::max<std::int64_t>(cost.others_rss, usage.ru_maxrss * 1024);
  }
  return cost;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace leaktrace::bench
