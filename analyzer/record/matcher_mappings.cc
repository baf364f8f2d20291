// The part of the matcher that is about mappings, and the code of JavaScript.
#include <algorithm>
#include <cstring>

#include "analyzer/record/matcher.h"

namespace leaktrace::record {

using format::BlockWord;
using format::MapWord;
using format::Op;
using trace::Operation;

absl::Span<const trace::MappingPart> Matcher::PartsOf(absl::Span<const Mapping> pieces) {
  parts_.clear();
  for (const Mapping& piece : pieces) parts_.push_back({piece.number, piece.end - piece.begin});
  return parts_;
}

// `side` says what the event is; its range becomes a mapping.
void Matcher::AddMapping(trace::SideRecord side, absl::Span<const Mapping> replaced) {
  side.parts = PartsOf(replaced);
  const std::uint64_t number = events_.next_mapping();
  events_.Side(side);
  mappings_.Add({.number = number,
                 .begin = side.address,
                 .end = side.address + side.length,
                 .protection = side.protection,
                 .flags = side.flags,
                 .file_offset = side.file_offset});
}

void Matcher::Map(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  const std::uint64_t address = BlockWord::Address(record.word1), length = record.word2;
  const std::uint64_t word = rings_.Word(record, 3);
  if (length == 0 || length > (std::uint64_t{1} << 48) - address) {
    ++totals_.ignored_records;
    return;
  }
  const KindKey key(0, static_cast<unsigned>(format::EntryPoint::kMmap), 0, BlockWord::Phase(record.word1),
                    track.route);
  pieces_.clear();
  mappings_.Cut(address, address + length, pieces_);
  AddMapping({.operation = Operation::kMap,
              .address = address,
              .length = length,
              .kind = kinds_.InternVarying(FrameOf(track, MapWord::Node(word)), key),
              .protection = MapWord::Prot(word),
              .flags = MapWord::Flags(word),
              .file_offset = rings_.Word(record, 4)},
             pieces_);
}

void Matcher::Unmap(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  track.unmapping = true;
  track.unmap_address = BlockWord::Address(record.word1);
  track.unmap_length = std::min(record.word2, (std::uint64_t{1} << 48) - track.unmap_address);
  track.unmapped.clear();
  // At once: another thread may get the range before this one goes on.
  mappings_.Cut(track.unmap_address, track.unmap_address + track.unmap_length, track.unmapped);
}

void Matcher::EndUnmap(Track& track) {
  track.unmapping = false;
  events_.Side({.operation = Operation::kUnmap,
                .address = track.unmap_address,
                .length = track.unmap_length,
                .parts = PartsOf(track.unmapped)});
}

void Matcher::CancelUnmap(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  if (!track.unmapping) {
    ++totals_.ignored_records;
    return;
  }
  track.unmapping = false;
  for (const Mapping& piece : track.unmapped) mappings_.Add(piece);
}

void Matcher::BeginRemap(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  track.remap_address = BlockWord::Address(record.word1);
  track.remap_length = std::min(record.word2, (std::uint64_t{1} << 48) - track.remap_address);
  track.remapped.clear();
  mappings_.Cut(track.remap_address, track.remap_address + track.remap_length, track.remapped);
}

void Matcher::CancelRemap(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  for (const Mapping& piece : track.remapped) mappings_.Add(piece);
  track.remapped.clear();
}

void Matcher::EndRemap(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  const std::uint64_t address = BlockWord::Address(record.word1), length = record.word2;
  const std::uint64_t word = rings_.Word(record, 3);
  if (length == 0 || length > (std::uint64_t{1} << 48) - address) {
    ++totals_.ignored_records;
    return;
  }
  // What mremap does not say the mapping keeps.
  const Mapping before = track.remapped.empty() ? Mapping{} : track.remapped.front();
  pieces_.assign(track.remapped.begin(), track.remapped.end());
  mappings_.Cut(address, address + length, pieces_);
  const KindKey key(0, static_cast<unsigned>(format::EntryPoint::kMremap), 0, BlockWord::Phase(record.word1),
                    track.route);
  AddMapping({.operation = Operation::kRemap,
              .address = address,
              .length = length,
              .old_address = track.remap_address,
              .old_length = track.remap_length,
              .kind = kinds_.InternVarying(FrameOf(track, MapWord::Node(word)), key),
              .protection = before.protection,
              .flags = before.flags,
              .file_offset = before.file_offset},
             pieces_);
  track.remapped.clear();
}

void Matcher::Advise(const StagedRecord& record) {
  const std::uint64_t address = BlockWord::Address(record.word1);
  const std::uint64_t length = std::min(record.word2, (std::uint64_t{1} << 48) - address);
  pieces_.clear();
  mappings_.Overlapping(address, address + length, pieces_);
  events_.Side({.operation = Operation::kAdvise,
                .address = address,
                .length = length,
                .advice = static_cast<std::uint32_t>(rings_.Word(record, 3)),
                .parts = PartsOf(pieces_)});
}

namespace {

// Copies a struct off the front of a record's text; false when it is too short.
template <typename Struct>
bool TakeStruct(std::string_view& text, Struct& out) {
  if (text.size() < sizeof(Struct)) return false;
  std::memcpy(&out, text.data(), sizeof(Struct));
  text.remove_prefix(sizeof(Struct));
  return true;
}

}  // namespace

void Matcher::ApplyCode(const StagedRecord& record) {
  const Op op = record.op();
  if (op == Op::kCodeMove) return code_.Move(record.word2, rings_.Word(record, 3));
  if (op == Op::kCodeRemove) return code_.Remove(record.word2);
  std::string_view text = Variable(record);
  if (op == Op::kCodeAdd) {
    format::CodeRecord code;
    if (TakeStruct(text, code)) return code_.Add(code, text.substr(0, code.name_bytes));
  } else if (op == Op::kCodeLines) {
    format::CodeLinesRecord lines;
    if (TakeStruct(text, lines)) {
      std::vector<js::LinePosition> positions(
          std::min<std::size_t>(lines.count, text.size() / sizeof(js::LinePosition)));
      std::memcpy(positions.data(), text.data(), positions.size() * sizeof(js::LinePosition));
      return code_.AddLines(lines.start, positions);
    }
  } else if (op == Op::kScript) {
    format::ScriptRecord script;
    if (TakeStruct(text, script)) return code_.AddScript(script, text.substr(0, script.url_bytes));
  } else if (op == Op::kSource) {
    format::SourceRecord part;
    if (TakeStruct(text, part)) return code_.AddSource(part, text.substr(0, part.part_bytes));
  } else if (op == Op::kJsFunction) {
    format::JsFunctionRecord function;
    if (TakeStruct(text, function)) {
      const std::string_view name = text.substr(0, function.name_bytes);
      const std::string_view rest =
          text.substr(std::min<std::size_t>(text.size(), std::size_t{function.name_bytes} + 1));
      return code_.AddJscFunction(function, name, rest.substr(0, function.url_bytes));
    }
  }
  ++totals_.ignored_records;
}

}  // namespace leaktrace::record
