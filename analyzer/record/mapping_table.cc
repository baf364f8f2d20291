#include "analyzer/record/mapping_table.h"

#include <algorithm>

namespace leaktrace::record {

void MappingTable::Count(const Mapping& piece, std::int64_t sign) {
  if (piece.file_offset != ~0ull) return;
  anonymous_bytes_ += static_cast<std::uint64_t>(sign * static_cast<std::int64_t>(piece.end - piece.begin));
}

MappingTable::Pieces::const_iterator MappingTable::FirstAfter(std::uint64_t address) const {
  auto piece = pieces_.upper_bound(address);
  if (piece != pieces_.begin() && std::prev(piece)->second.end > address) --piece;
  return piece;
}

void MappingTable::Add(const Mapping& mapping) {
  if (mapping.begin >= mapping.end) return;
  pieces_.emplace(mapping.begin, mapping);
  Count(mapping, 1);
}

Mapping MappingTable::Clip(const Mapping& piece, std::uint64_t begin, std::uint64_t end) {
  Mapping clipped = piece;
  clipped.begin = std::max(piece.begin, begin);
  clipped.end = std::min(piece.end, end);
  if (piece.file_offset != ~0ull) clipped.file_offset += clipped.begin - piece.begin;
  return clipped;
}

void MappingTable::Cut(std::uint64_t begin, std::uint64_t end, std::vector<Mapping>& taken) {
  auto next = FirstAfter(begin);
  while (next != pieces_.end() && next->first < end) {
    const Mapping piece = next->second;
    next = pieces_.erase(next);
    Count(piece, -1);
    taken.push_back(Clip(piece, begin, end));
    if (piece.begin < begin) Add(Clip(piece, 0, begin));
    if (piece.end > end) Add(Clip(piece, end, ~0ull));
  }
}

void MappingTable::Overlapping(std::uint64_t begin, std::uint64_t end, std::vector<Mapping>& pieces) const {
  for (auto piece = FirstAfter(begin); piece != pieces_.end() && piece->first < end; ++piece) {
    pieces.push_back(Clip(piece->second, begin, end));
  }
}

const Mapping* MappingTable::Find(std::uint64_t address) const {
  const auto piece = FirstAfter(address);
  return piece != pieces_.end() && piece->first <= address ? &piece->second : nullptr;
}

}  // namespace leaktrace::record
