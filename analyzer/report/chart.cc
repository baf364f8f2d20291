#include "analyzer/report/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "analyzer/base/quantity.h"
#include "analyzer/report/style.h"

namespace leaktrace::report {
namespace {

constexpr std::size_t kLabelWidth = 8;
constexpr std::size_t kMaxColumns = 100;

struct Column {
  double native = 0, js_heap = 0, resident = 0;
};

// The highest sample of each column; a column without samples is as the one before.
std::vector<Column> MakeColumns(const model::TraceModel& model, std::size_t count) {
  std::vector<Column> columns(count);
  const std::uint64_t start = model.memory.front().time;
  const std::uint64_t span = std::max<std::uint64_t>(model.memory.back().time - start, 1);
  std::size_t js = 0;
  std::size_t previous = 0;
  for (const model::MemorySample& sample : model.memory) {
    while (js < model.js_heap.size() && model.js_heap[js].time <= sample.time) ++js;
    const std::uint64_t heap = js == 0 ? 0 : model.js_heap[js - 1].heap_used.value_or(0);
    const auto position = static_cast<std::size_t>(static_cast<double>(sample.time - start) /
                                                   static_cast<double>(span) * static_cast<double>(count));
    const std::size_t index = std::min(position, count - 1);
    for (std::size_t i = previous + 1; i < index; ++i) columns[i] = columns[previous];
    Column& column = columns[index];
    column.native = std::max(column.native, static_cast<double>(sample.live_bytes));
    column.js_heap = std::max(column.js_heap, static_cast<double>(heap));
    column.resident = std::max(column.resident, static_cast<double>(sample.rss));
    previous = index;
  }
  return columns;
}

std::string Text(const char* unicode, const char* plain, bool use_unicode) { return use_unicode ? unicode : plain; }

}  // namespace

std::string MemoryChart(const model::TraceModel& model, const Terminal& terminal) {
  if (model.memory.size() < 2) return "";
  const std::size_t width = std::min(terminal.width - kLabelWidth - 4, kMaxColumns);
  const std::vector<Column> columns = MakeColumns(model, width);
  double top = 1;
  for (const Column& column : columns) top = std::max({top, column.resident, column.native + column.js_heap});

  const Style style(terminal.colour);
  const std::string native = Text("█", "#", terminal.unicode);
  const std::string js_heap = Text("▒", "+", terminal.unicode);
  const std::string other = Text("░", ".", terminal.unicode);
  const std::string axis = Text("│", "|", terminal.unicode);
  const bool has_js = std::any_of(columns.begin(), columns.end(), [](const Column& c) { return c.js_heap > 0; });

  std::string result;
  for (std::size_t row = 0; row < kChartRows; ++row) {
    // A cell is filled when its middle is below the value.
    const double level = top * (static_cast<double>(kChartRows - row) - 0.5) / static_cast<double>(kChartRows);
    std::string label;
    if (row == 0) label = FormatBytes(top);
    if (row == kChartRows / 2) label = FormatBytes(top / 2);
    result += "  " + PadLeft(label, kLabelWidth) + " " + style.Dim(axis);
    std::string line;
    const std::string* last = nullptr;
    std::string run;
    const auto flush = [&] {
      if (last == &native) run = style.Red(run);
      if (last == &js_heap) run = style.Yellow(run);
      if (last == &other) run = style.Dim(run);
      line += run;
      run.clear();
    };
    static const std::string kEmpty = " ";
    for (const Column& column : columns) {
      const std::string* cell = &kEmpty;
      if (level <= column.native) {
        cell = &native;
      } else if (level <= column.native + column.js_heap) {
        cell = &js_heap;
      } else if (level <= column.resident) {
        cell = &other;
      }
      if (cell != last) flush();
      last = cell;
      run += *cell;
    }
    if (last != &kEmpty) flush();
    result += line + "\n";
  }
  const std::string from = FormatDuration(model.memory.front().time);
  const std::string to = FormatDuration(model.memory.back().time);
  std::string base = terminal.unicode ? "└" : "+";
  for (std::size_t i = 0; i < width; ++i) base += terminal.unicode ? "─" : "-";
  result += "  " + PadLeft("0", kLabelWidth) + " " + style.Dim(base) + "\n";
  const std::string indent(kLabelWidth + 4, ' ');
  const std::size_t gap = width > TextWidth(from) + TextWidth(to) ? width - TextWidth(from) - TextWidth(to) : 1;
  result += indent + style.Dim(from + std::string(gap, ' ') + to) + "\n";
  result += indent + style.Red(native) + " live native blocks   ";
  if (has_js) result += style.Yellow(js_heap) + " JavaScript heap   ";
  result += style.Dim(other) + " other resident memory\n";
  return result;
}

}  // namespace leaktrace::report
