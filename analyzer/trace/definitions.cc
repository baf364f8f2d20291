#include "analyzer/trace/definitions.h"

#include <cassert>
#include <limits>

#include "analyzer/trace/capnp_data.h"

namespace leaktrace::trace {
namespace {

constexpr std::size_t kAttributeBytes = 4;

// Reads `count` varints that fit 32 bits and nothing else.
bool DecodeNumbers(const std::vector<std::uint8_t>& bytes, std::uint32_t count, std::vector<std::uint32_t>& numbers) {
  ByteReader reader(bytes);
  numbers.resize(count);
  for (std::uint32_t& number : numbers) {
    const std::uint64_t value = reader.Varint();
    if (value > std::numeric_limits<std::uint32_t>::max()) return false;
    number = static_cast<std::uint32_t>(value);
  }
  return reader.ok() && reader.AtEnd();
}

}  // namespace

std::uint32_t FrameEncoder::Add(const Frame& frame) {
  const std::uint32_t id = next_id_++;
  assert(frame.parent < id);
  parents_.Varint(frame.parent == 0 ? 0 : id - frame.parent);
  values_.Signed(static_cast<std::int64_t>(frame.value - last_value_));
  last_value_ = frame.value;
  kinds_.Byte(static_cast<std::uint8_t>(frame.kind));
  auxiliaries_.Varint(frame.auxiliary);
  return id;
}

void FrameEncoder::Write(format::trace::FrameTable::Builder table, ColumnCompressor& compressor) {
  table.setFirstId(first_id_);
  table.setCount(pending());
  table.setParents(AsData(compressor.Compress(parents_.bytes())));
  table.setValues(AsData(compressor.Compress(values_.bytes())));
  table.setKinds(AsData(compressor.Compress(kinds_.bytes())));
  table.setAuxiliaries(AsData(compressor.Compress(auxiliaries_.bytes())));
  first_id_ = next_id_;
  last_value_ = 0;
  parents_.Clear();
  values_.Clear();
  kinds_.Clear();
  auxiliaries_.Clear();
}

bool DecodeFrames(format::trace::FrameTable::Reader table, ColumnDecompressor& decompressor, FrameColumns& columns) {
  const std::uint32_t first = table.getFirstId(), count = table.getCount();
  if (first == 0 || count > kMaxTableEntries || first > std::numeric_limits<std::uint32_t>::max() - count) return false;
  const std::size_t limit = std::size_t{count} * kMaxVarintBytes;
  std::vector<std::uint8_t> bytes;
  if (!decompressor.Decompress(AsSpan(table.getParents()), limit, bytes) ||
      !DecodeNumbers(bytes, count, columns.parents))
    return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t distance = columns.parents[i];
    if (distance >= first + i) return false;
    columns.parents[i] = distance == 0 ? 0 : first + i - distance;
  }
  if (!decompressor.Decompress(AsSpan(table.getAuxiliaries()), limit, bytes) ||
      !DecodeNumbers(bytes, count, columns.auxiliaries)) {
    return false;
  }
  if (!decompressor.Decompress(AsSpan(table.getValues()), limit, bytes)) return false;
  ByteReader values(bytes);
  columns.values.resize(count);
  std::uint64_t value = 0;
  for (std::uint64_t& element : columns.values) element = value += static_cast<std::uint64_t>(values.Signed());
  if (!values.ok() || !values.AtEnd()) return false;
  if (!decompressor.Decompress(AsSpan(table.getKinds()), count, bytes) || bytes.size() != count) return false;
  columns.kinds.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) columns.kinds[i] = static_cast<format::FrameKind>(bytes[i]);
  return true;
}

std::uint32_t KindEncoder::Add(const Kind& kind) {
  stacks_.Varint(kind.stack);
  sizes_.Varint(kind.size);
  attributes_.Byte(static_cast<std::uint8_t>(kind.attributes.entry));
  attributes_.Byte(kind.attributes.allocator);
  attributes_.Byte(static_cast<std::uint8_t>(kind.attributes.phase));
  attributes_.Byte(kind.attributes.flags);
  routes_.Varint(kind.route);
  return next_id_++;
}

void KindEncoder::Write(format::trace::KindTable::Builder table, ColumnCompressor& compressor) {
  table.setFirstId(first_id_);
  table.setCount(pending());
  table.setStacks(AsData(compressor.Compress(stacks_.bytes())));
  table.setSizes(AsData(compressor.Compress(sizes_.bytes())));
  table.setAttributes(AsData(compressor.Compress(attributes_.bytes())));
  table.setRoutes(AsData(compressor.Compress(routes_.bytes())));
  first_id_ = next_id_;
  stacks_.Clear();
  sizes_.Clear();
  attributes_.Clear();
  routes_.Clear();
}

bool DecodeKinds(format::trace::KindTable::Reader table, ColumnDecompressor& decompressor, KindColumns& columns) {
  const std::uint32_t first = table.getFirstId(), count = table.getCount();
  if (first == 0 || count > kMaxTableEntries || first > std::numeric_limits<std::uint32_t>::max() - count) return false;
  const std::size_t limit = std::size_t{count} * kMaxVarintBytes;
  std::vector<std::uint8_t> bytes;
  if (!decompressor.Decompress(AsSpan(table.getStacks()), limit, bytes) || !DecodeNumbers(bytes, count, columns.stacks))
    return false;
  if (!decompressor.Decompress(AsSpan(table.getRoutes()), limit, bytes) || !DecodeNumbers(bytes, count, columns.routes))
    return false;
  if (!decompressor.Decompress(AsSpan(table.getSizes()), limit, bytes)) return false;
  ByteReader sizes(bytes);
  columns.sizes.resize(count);
  for (std::uint64_t& size : columns.sizes) size = sizes.Varint();
  if (!sizes.ok() || !sizes.AtEnd()) return false;
  const std::size_t attribute_bytes = count * kAttributeBytes;
  if (!decompressor.Decompress(AsSpan(table.getAttributes()), attribute_bytes, bytes) ||
      bytes.size() != attribute_bytes)
    return false;
  columns.attributes.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint8_t* four = bytes.data() + i * kAttributeBytes;
    columns.attributes[i] = {static_cast<format::EntryPoint>(four[0]), four[1],
                             static_cast<format::RequestPhase>(four[2]), four[3]};
  }
  return true;
}

}  // namespace leaktrace::trace
