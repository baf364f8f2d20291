#include "analyzer/trace/event_block.h"

#include <limits>

#include "analyzer/trace/capnp_data.h"

namespace leaktrace::trace {
namespace {

// A side record takes far less, but for the parts of a mapping that was made of many.
constexpr std::size_t kMaxSideBytes = 16u << 20;

template <typename Number>
bool DecodeNumbers(const std::vector<std::uint8_t>& bytes, std::size_t count, std::vector<Number>& numbers) {
  ByteReader reader(bytes);
  numbers.resize(count);
  for (Number& number : numbers) {
    const std::uint64_t value = reader.Varint();
    if (value > std::numeric_limits<Number>::max()) return false;
    number = static_cast<Number>(value);
  }
  return reader.ok() && reader.AtEnd();
}

bool DecodeTimeRuns(const std::vector<std::uint8_t>& bytes, std::uint64_t time, std::size_t count,
                    std::vector<TimeRun>& runs) {
  ByteReader reader(bytes);
  runs.clear();
  std::uint64_t covered = 0;
  while (!reader.AtEnd()) {
    const std::uint64_t events = reader.Varint();
    const std::uint64_t microseconds = reader.Varint();
    if (!reader.ok() || events > count - covered) return false;
    covered += events;
    runs.push_back({static_cast<std::uint32_t>(events), time});
    time += microseconds * kTimeResolution;
  }
  return covered == count;
}

bool DecodeThreadRuns(const std::vector<std::uint8_t>& bytes, std::size_t count, std::vector<ThreadRun>& runs) {
  ByteReader reader(bytes);
  runs.clear();
  std::uint64_t covered = 0;
  while (!reader.AtEnd()) {
    const std::uint64_t thread = reader.Varint();
    const std::uint64_t events = reader.Varint();
    if (!reader.ok() || events > count - covered || thread > std::numeric_limits<std::uint32_t>::max()) return false;
    covered += events;
    runs.push_back({static_cast<std::uint32_t>(events), static_cast<std::uint32_t>(thread)});
  }
  return covered == count;
}

bool DecodeSideRecords(const std::vector<std::uint8_t>& bytes, std::uint64_t mappings, EventColumns& columns) {
  ByteReader reader(bytes);
  columns.side_records.clear();
  columns.parts.clear();
  std::vector<std::size_t> part_ends;
  for (std::size_t i = 0; i < columns.operations.size(); ++i) {
    if (!HasSideRecord(columns.operations[i])) continue;
    SideRecord& record = columns.side_records.emplace_back();
    record.event = static_cast<std::uint32_t>(i);
    record.operation = columns.operations[i];
    if (!DecodeSideRecord(reader, mappings, record, columns.parts)) return false;
    part_ends.push_back(columns.parts.size());
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < part_ends.size(); ++i) {
    columns.side_records[i].parts = absl::MakeConstSpan(columns.parts).subspan(begin, part_ends[i] - begin);
    begin = part_ends[i];
  }
  return reader.AtEnd();
}

}  // namespace

void EventBlockBuilder::NextTimeRun(std::uint64_t time) {
  const std::uint64_t passed = (time - run_time_) / kTimeResolution;
  if (operations_.size() == 0) {
    run_time_ = start_time_ = run_time_ + passed * kTimeResolution;
    return;
  }
  time_runs_.Varint(operations_.size() - run_begin_);
  time_runs_.Varint(passed);
  run_time_ += passed * kTimeResolution;
  run_begin_ = operations_.size();
}

void EventBlockBuilder::NextThreadRun(std::uint32_t thread) {
  if (operations_.size() != thread_begin_) {
    thread_runs_.Varint(thread_);
    thread_runs_.Varint(operations_.size() - thread_begin_);
    thread_begin_ = operations_.size();
  }
  thread_ = thread;
}

void EventBlockBuilder::Write(format::trace::EventBlock::Builder block, ColumnCompressor& compressor) {
  time_runs_.Varint(operations_.size() - run_begin_);
  time_runs_.Varint(0);
  NextThreadRun(thread_);
  block.setFirstEvent(first_event_);
  block.setFirstAllocation(first_allocation_);
  block.setFirstMapping(first_mapping_);
  block.setCount(pending());
  block.setAllocations(static_cast<std::uint32_t>(next_allocation_ - first_allocation_));
  block.setStartTime(start_time_);
  block.setEndTime(run_time_);
  block.setOperations(AsData(compressor.Compress(operations_.bytes())));
  block.setKinds(AsData(compressor.Compress(kinds_.bytes())));
  block.setSizes(AsData(compressor.Compress(sizes_.bytes())));
  block.setDistances(AsData(compressor.Compress(distances_.bytes())));
  block.setTimeRuns(AsData(compressor.Compress(time_runs_.bytes())));
  block.setThreadRuns(AsData(compressor.Compress(thread_runs_.bytes())));
  block.setSideRecords(AsData(compressor.Compress(side_records_.bytes())));
  first_event_ += operations_.size();
  first_allocation_ = next_allocation_;
  first_mapping_ = next_mapping_;
  start_time_ = run_time_;
  run_begin_ = thread_begin_ = 0;
  for (ByteWriter* column : {&operations_, &kinds_, &sizes_, &distances_, &time_runs_, &thread_runs_, &side_records_})
    column->Clear();
}

bool DecodeEventBlock(format::trace::EventBlock::Reader block, ColumnDecompressor& decompressor,
                      EventColumns& columns) {
  const std::size_t count = block.getCount();
  if (count == 0 || count > kMaxBlockEvents || block.getStartTime() > block.getEndTime()) return false;
  // Numbers that cannot be counted up from any more would make a reader's sums wrap.
  constexpr std::uint64_t kMaxNumber = std::uint64_t{1} << 56;
  if (block.getFirstEvent() > kMaxNumber || block.getFirstAllocation() > kMaxNumber ||
      block.getFirstMapping() > kMaxNumber)
    return false;
  std::vector<std::uint8_t>& bytes = columns.scratch;
  if (!decompressor.Decompress(AsSpan(block.getOperations()), count, bytes) || bytes.size() != count) return false;
  columns.operations.resize(count);
  std::size_t acquired = 0, released = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (bytes[i] >= static_cast<std::uint8_t>(Operation::kCount)) return false;
    const auto operation = static_cast<Operation>(bytes[i]);
    columns.operations[i] = operation;
    acquired += Acquires(operation) ? 1 : 0;
    released += Releases(operation) ? 1 : 0;
  }
  if (acquired != block.getAllocations()) return false;
  const std::size_t limit = count * kMaxVarintBytes;
  if (!decompressor.Decompress(AsSpan(block.getKinds()), limit, bytes) ||
      !DecodeNumbers(bytes, acquired, columns.kinds))
    return false;
  if (!decompressor.Decompress(AsSpan(block.getDistances()), limit, bytes) ||
      !DecodeNumbers(bytes, released, columns.distances)) {
    return false;
  }
  if (!decompressor.Decompress(AsSpan(block.getSizes()), limit, bytes)) return false;
  ByteReader sizes(bytes);
  columns.sizes.clear();
  while (!sizes.AtEnd()) columns.sizes.push_back(sizes.Varint());
  if (!sizes.ok()) return false;
  if (!decompressor.Decompress(AsSpan(block.getTimeRuns()), 2 * limit, bytes) ||
      !DecodeTimeRuns(bytes, block.getStartTime(), count, columns.time_runs)) {
    return false;
  }
  if (!decompressor.Decompress(AsSpan(block.getThreadRuns()), 2 * limit, bytes) ||
      !DecodeThreadRuns(bytes, count, columns.thread_runs)) {
    return false;
  }
  return decompressor.Decompress(AsSpan(block.getSideRecords()), kMaxSideBytes, bytes) &&
         DecodeSideRecords(bytes, block.getFirstMapping(), columns);
}

}  // namespace leaktrace::trace
