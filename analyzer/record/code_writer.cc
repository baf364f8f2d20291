#include "analyzer/record/code_writer.h"

#include <utility>

#include "absl/types/span.h"
#include "analyzer/trace/crc32c.h"

namespace leaktrace::record {

void CodeWriter::Write(const js::CodeMap& code, format::trace::CodeNames::Builder names) {
  const auto& functions = code.functions();
  auto function_list = names.initFunctions(static_cast<unsigned>(functions.size() - functions_written_));
  for (unsigned i = 0; functions_written_ < functions.size(); ++i, ++functions_written_) {
    const js::Function& function = functions[functions_written_];
    js::Place place{function.line, function.column};
    const auto script = code.scripts().find(function.script);
    if (function.script != 0 && script != code.scripts().end()) {
      place = places_.Definition(function, function.script, script->second);
    }
    auto entry = function_list[i];
    entry.setId(static_cast<std::uint32_t>(functions_written_ + 1));
    entry.setName(function.name);
    entry.setScript(function.script);
    entry.setUrl(function.url);
    entry.setLine(place.line);
    entry.setColumn(place.column);
    entry.setStart(function.start);
    entry.setEnd(function.end);
    entry.setTier(static_cast<std::uint16_t>(function.kind));
  }
  auto frame_list = names.initFrames(static_cast<unsigned>(frames_.size()));
  for (unsigned i = 0; i < frames_.size(); ++i) {
    const js::CodeFrame& name = frames_[i].name;
    auto entry = frame_list[i];
    entry.setFrame(frames_[i].frame);
    entry.setFunction(name.function);
    entry.setPosition(name.position);
    if (name.position < 0 || name.function > functions.size()) continue;
    const js::Place place = places_.Position(functions[name.function - 1].url, name.position);
    entry.setLine(place.line);
    entry.setColumn(place.column);
  }
  frames_.clear();
  std::vector<std::pair<std::uint32_t, const js::Script*>> scripts;
  for (const auto& [id, script] : code.scripts()) {
    if (script.source.size() == script.source_bytes && scripts_written_.insert(id).second)
      scripts.emplace_back(id, &script);
  }
  auto script_list = names.initScripts(static_cast<unsigned>(scripts.size()));
  for (unsigned i = 0; i < scripts.size(); ++i) {
    const std::string& text = scripts[i].second->source;
    script_list[i].setId(scripts[i].first);
    script_list[i].setUrl(scripts[i].second->url);
    script_list[i].setSourceHash(trace::Crc32c({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
  }
}

}  // namespace leaktrace::record
