#include "analyzer/report/pprof.h"

#include <zlib.h>

#include <algorithm>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzer/report/profile.pb.h"

namespace leaktrace::report {
namespace {

namespace pb = perftools::profiles;

// proto3 strings are UTF-8; names come from files of others and need not be.
std::string Utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    bool valid = length > 0 && i + length <= text.size();
    for (std::size_t k = 1; valid && k < length; ++k) valid = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    if (valid && length > 2) {
      // Overlong forms, surrogates and what lies above U+10FFFF show in the second byte.
      const unsigned char second = static_cast<unsigned char>(text[i + 1]);
      valid = !(lead == 0xe0 && second < 0xa0) && !(lead == 0xed && second > 0x9f) &&
              !(lead == 0xf0 && second < 0x90) && !(lead == 0xf4 && second > 0x8f);
    }
    out += valid ? text.substr(i, length) : "?";
    i += valid ? length : 1;
  }
  return out;
}

class Builder {
 public:
  explicit Builder(const Profile& profile) : profile_(profile) { Text(""); }

  pb::Profile Build(Metric metric) {
    for (std::size_t i = 0; i < kMetrics; ++i) {
      const MetricInfo& info = InfoOf(static_cast<Metric>(i));
      pb::ValueType* type = out_.add_sample_type();
      type->set_type(Text(info.name));
      type->set_unit(Text(info.bytes ? "bytes" : "count"));
    }
    out_.set_default_sample_type(Text(InfoOf(metric).name));
    out_.mutable_period_type()->set_type(Text("space"));
    out_.mutable_period_type()->set_unit(Text("bytes"));
    out_.set_period(1);
    out_.set_time_nanos(static_cast<std::int64_t>(profile_.start_realtime));
    out_.set_duration_nanos(static_cast<std::int64_t>(profile_.duration));
    out_.add_comment(Text(profile_.title));
    AddMappings();
    AddLocations();
    AddSamples();
    return std::move(out_);
  }

 private:
  std::int64_t Text(std::string_view text) {
    const auto [at, added] = texts_.try_emplace(std::string(text), out_.string_table_size());
    if (added) out_.add_string_table(Utf8(text));
    return at->second;
  }

  void AddMappings() {
    for (std::size_t i = 0; i < profile_.modules.size(); ++i) {
      const Profile::Module& module = profile_.modules[i];
      pb::Mapping* mapping = out_.add_mapping();
      mapping->set_id(i + 1);
      mapping->set_memory_start(module.begin);
      mapping->set_memory_limit(module.end);
      mapping->set_filename(Text(module.path));
      mapping->set_build_id(Text(module.build_id));
      // Names are final: pprof would otherwise look for symbols of its own.
      mapping->set_has_functions(true);
      mapping->set_has_filenames(true);
      mapping->set_has_line_numbers(true);
      mapping->set_has_inline_frames(true);
    }
  }

  std::uint64_t FunctionOf(const symbolize::Line& line) {
    const std::string name = symbolize::DisplayName(line);
    const auto [at, added] = functions_.try_emplace(std::make_tuple(name, line.file), functions_.size() + 1);
    if (added) {
      pb::Function* function = out_.add_function();
      function->set_id(at->second);
      function->set_name(Text(name));
      function->set_system_name(Text(name));
      function->set_filename(Text(line.file));
    }
    return at->second;
  }

  void AddLocations() {
    for (std::size_t i = 0; i < profile_.locations.size(); ++i) {
      const Profile::Location& from = profile_.locations[i];
      pb::Location* location = out_.add_location();
      location->set_id(i + 1);
      location->set_mapping_id(from.module);
      location->set_address(from.address);
      for (const symbolize::Line& line : from.lines) {
        pb::Line* to = location->add_line();
        to->set_function_id(FunctionOf(line));
        to->set_line(line.line);
      }
    }
  }

  void AddLabel(pb::Sample* sample, const char* key, const std::string& value) {
    if (value.empty()) return;
    pb::Label* label = sample->add_label();
    label->set_key(Text(key));
    label->set_str(Text(value));
  }

  void AddSamples() {
    for (const Profile::Sample& from : profile_.samples) {
      if (std::all_of(from.values.begin(), from.values.end(), [](std::uint64_t value) { return value == 0; })) continue;
      pb::Sample* sample = out_.add_sample();
      for (const std::uint32_t location : from.stack) sample->add_location_id(std::uint64_t{location} + 1);
      for (const std::uint64_t value : from.values) sample->add_value(static_cast<std::int64_t>(value));
      AddLabel(sample, "allocator", from.allocator);
      AddLabel(sample, "request_phase", from.request_phase);
      AddLabel(sample, "route", from.route);
    }
  }

  const Profile& profile_;
  pb::Profile out_;
  absl::flat_hash_map<std::string, std::int64_t> texts_;
  absl::flat_hash_map<std::tuple<std::string, std::string>, std::uint64_t> functions_;
};

// RFC 1952. Deterministic: zlib writes no time and no name into the header.
absl::StatusOr<std::string> Gzip(const std::string& data) {
  z_stream stream{};
  constexpr int kGzipWindow = 15 + 16;  // zlib.h: 16 more than the window bits asks for a gzip header
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return absl::ResourceExhaustedError("cannot compress the profile: zlib has not enough memory");
  }
  std::string out(deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) return absl::InternalError("cannot compress the profile: zlib stopped early");
  return out;
}

}  // namespace

absl::StatusOr<std::string> Pprof(const Profile& profile, Metric metric) {
  std::string data;
  if (!Builder(profile).Build(metric).SerializeToString(&data)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the profile is larger than a protocol buffer may be; export fewer stacks with --top"));
  }
  return Gzip(data);
}

}  // namespace leaktrace::report
