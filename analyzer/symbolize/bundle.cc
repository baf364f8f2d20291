#include "analyzer/symbolize/bundle.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "analyzer/base/elf_file.h"
#include "analyzer/trace/chunk.h"
#include "analyzer/trace/crc32c.h"
#include "format/chunk.h"
#include "format/trace.capnp.h"

namespace leaktrace::symbolize {
namespace {

using format::ChunkHeader;
using format::ChunkKind;

constexpr std::size_t kChunkTextBytes = 16 << 20;  // of the names in one chunk

// Appends chunks to a file with their numbers in order.
class ChunkCopier {
 public:
  explicit ChunkCopier(const std::string& path) : out_(path, std::ios::binary | std::ios::trunc) {}

  void Append(ChunkKind kind, absl::Span<const std::uint8_t> payload) {
    const ChunkHeader header = trace::MakeChunkHeader(kind, sequence_++, payload);
    out_.write(reinterpret_cast<const char*>(&header), sizeof header);
    out_.write(reinterpret_cast<const char*>(payload.data()), static_cast<std::streamsize>(payload.size()));
  }
  void Append(ChunkKind kind, capnp::MessageBuilder& message) {
    const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
    Append(kind, {words.asBytes().begin(), words.asBytes().size()});
  }
  bool Finish() {
    out_.close();
    return out_.good();
  }

 private:
  std::ofstream out_;
  std::uint64_t sequence_ = 0;
};

void AppendSymbols(absl::Span<const BundledFrame> frames, ChunkCopier& out) {
  for (std::size_t begin = 0; begin < frames.size();) {
    std::size_t end = begin, text = 0;
    while (end < frames.size() && text < kChunkTextBytes) {
      for (const Line& line : frames[end].lines)
        text += 64 + line.function.size() + line.module.size() + line.file.size() + line.evidence.size();
      ++end;
    }
    capnp::MallocMessageBuilder message;
    auto list = message.initRoot<format::trace::SymbolTable>().initFrames(static_cast<unsigned>(end - begin));
    for (unsigned i = 0; begin + i < end; ++i) {
      const BundledFrame& frame = frames[begin + i];
      list[i].setFrame(frame.frame);
      auto lines = list[i].initLines(static_cast<unsigned>(frame.lines.size()));
      for (unsigned j = 0; j < frame.lines.size(); ++j) {
        const Line& line = frame.lines[j];
        lines[j].setFunction(line.function);
        lines[j].setModule(line.module);
        lines[j].setOffset(line.offset);
        lines[j].setFile(line.file);
        lines[j].setLine(line.line);
        lines[j].setKind(static_cast<std::uint16_t>(line.kind));
        lines[j].setInlined(line.inlined);
        lines[j].setEvidence(line.evidence);
      }
    }
    out.Append(ChunkKind::kSymbols, message);
    begin = end;
  }
}

absl::Status CopyChunks(const std::string& from, absl::Span<const BundledFrame> frames, ChunkCopier& out) {
  std::ifstream in(from, std::ios::binary);
  if (!in) return absl::ErrnoToStatus(errno, from);
  std::optional<Bytes> footer;
  std::uint64_t position = 0;
  for (;;) {
    std::uint8_t raw[sizeof(ChunkHeader)];
    in.read(reinterpret_cast<char*>(raw), sizeof raw);
    if (in.gcount() != sizeof raw) break;
    const auto damaged = [&] {
      return absl::DataLossError(absl::StrCat(
          from, ": the chunk at byte ", position,
          " is damaged: a bundle needs a whole trace; `leaktrace report` reads this one as far as it goes"));
    };
    if (!trace::IsChunkHeader(raw)) return damaged();
    ChunkHeader header;
    std::memcpy(&header, raw, sizeof header);
    Bytes payload(header.payload_bytes);
    in.read(reinterpret_cast<char*>(payload.data()), static_cast<std::streamsize>(payload.size()));
    if (static_cast<std::size_t>(in.gcount()) != payload.size()) break;
    if (trace::Crc32c(payload) != header.payload_crc) return damaged();
    position += sizeof header + payload.size();
    const auto kind = static_cast<ChunkKind>(header.kind);
    if (kind == ChunkKind::kFooter) {
      footer = std::move(payload);
    } else if (kind != ChunkKind::kSymbols) {
      out.Append(kind, payload);
    }
  }
  AppendSymbols(frames, out);
  if (footer) out.Append(ChunkKind::kFooter, *footer);
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteBundle(const std::string& from, const std::string& to, absl::Span<const BundledFrame> frames) {
  const std::string part = absl::StrCat(to, ".", getpid(), ".part");
  absl::Cleanup remove_part = [&part] { std::remove(part.c_str()); };
  ChunkCopier out(part);
  if (absl::Status copied = CopyChunks(from, frames, out); !copied.ok()) return copied;
  if (!out.Finish() || std::rename(part.c_str(), to.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(to, ": cannot be written"));
  }
  std::move(remove_part).Cancel();
  return absl::OkStatus();
}

}  // namespace leaktrace::symbolize
