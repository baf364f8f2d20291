#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzer/commands/commands.h"
#include "analyzer/hooks/discovery.h"

namespace leaktrace::commands {
namespace {

using Json = nlohmann::ordered_json;

std::string Hex(const std::uint8_t* bytes, std::size_t size) {
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes), size));
}

constexpr const char* kArgumentNames[] = {"rdi", "rsi", "rdx", "rcx", "r8", "r9"};
constexpr const char* kHardwareNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

bool IsSite(const format::HookEntry& hook) {
  return hook.role == format::HookRole::kAllocateSite || hook.role == format::HookRole::kFreeSite;
}

Json RegistersOf(const format::HookEntry& hook) {
  Json registers = Json::object();
  const auto add = [&](const char* name, std::uint8_t number) {
    if (number == format::kNoRegister) return;
    registers[name] = IsSite(hook) ? kHardwareNames[number & 15] : kArgumentNames[number % 6];
  };
  add("size", hook.size_register);
  add("count", hook.count_register);
  add("alignment", hook.alignment_register);
  add("pointer", hook.pointer_register);
  add(IsSite(hook) ? "page" : "heap", hook.heap_register);
  add("out", hook.out_register);
  return registers;
}

Json ToJson(const hooks::Discovery& discovery) {
  Json out;
  out["build_id"] = Hex(discovery.build_id.data(), discovery.build_id.size());
  out["libpas"] = discovery.has_libpas;
  out["allocators"] = Json::array();
  for (const auto& allocator : discovery.allocators) {
    Json one{{"name", allocator.name},
             {"complete", allocator.complete()},
             {"pops", allocator.pops},
             {"pushes", allocator.pushes}};
    one["block_size"] = {{"offset", allocator.block_size_offset}, {"bytes", allocator.block_size_bytes}};
    one["entries"] = Json::array();
    for (const auto& entry : allocator.entries) {
      one["entries"].push_back({{"address", entry.hook.address},
                                {"role", entry.name},
                                {"symbol", entry.symbol},
                                {"registers", RegistersOf(entry.hook)},
                                {"displaced", Hex(entry.hook.original, entry.hook.displaced_bytes)},
                                {"relocated", Hex(entry.hook.relocated, entry.hook.relocated_bytes)},
                                {"refused", entry.refused.empty() ? Json(nullptr) : Json(entry.refused)},
                                {"evidence", entry.evidence}});
    }
    one["covered"] = allocator.covered;
    one["uncovered"] = allocator.uncovered;
    out["allocators"].push_back(std::move(one));
  }
  return out;
}

void Print(const std::string& path, const hooks::Discovery& discovery) {
  if (discovery.allocators.empty()) absl::PrintF("%s: no allocator is linked in statically\n", path);
  for (const auto& allocator : discovery.allocators) {
    absl::PrintF("%s: %s, %d entry points, %d pops and %d pushes of free lists, %s\n", path, allocator.name,
                 allocator.entries.size(), allocator.pops, allocator.pushes,
                 allocator.complete() ? "all accounted for" : "NOT all accounted for");
    for (const auto& entry : allocator.entries) {
      std::string registers;
      const Json used = RegistersOf(entry.hook);
      for (const auto& [name, value] : used.items())
        absl::StrAppend(&registers, " ", name, "=", value.get<std::string>());
      absl::PrintF("  %#12x  %-16s%-34s %s\n", entry.hook.address, entry.name, registers, entry.symbol);
      for (const std::string& evidence : entry.evidence) absl::PrintF("                %s\n", evidence);
      if (!entry.refused.empty()) absl::PrintF("                cannot be patched: %s\n", entry.refused);
    }
    for (const std::string& text : allocator.covered) absl::PrintF("  covered: %s\n", text);
    for (const std::string& text : allocator.uncovered) absl::PrintF("  NOT covered: %s\n", text);
  }
  if (discovery.has_libpas)
    absl::PrintF("%s: JavaScriptCore's libpas, which Malloc=1 in the environment makes use the system's malloc\n",
                 path);
}

}  // namespace

void AddHooks(CLI::App& app, int& exit_status) {
  auto* command = app.add_subcommand(
      "hooks",
      "Show the entry points of allocators that are linked statically into an executable, and why they are that");
  command->footer("Example: leaktrace hooks /usr/local/bin/bun");
  const auto path = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  command->add_option("EXECUTABLE", *path, "an ELF executable or shared object, stripped or not")->required();
  command->add_flag("--json", *json, "print one JSON object");
  command->callback([&exit_status, path, json] {
    const auto discovery = hooks::Discover(*path);
    if (!discovery.ok()) {
      absl::FPrintF(stderr, "leaktrace hooks: %s; name an ELF executable or shared object for x86-64\n",
                    discovery.status().message());
      exit_status = 2;
      return;
    }
    if (*json) {
      std::cout << ToJson(*discovery).dump(2) << "\n";
    } else {
      Print(*path, *discovery);
    }
  });
}

}  // namespace leaktrace::commands
