// Memory for code near the executable, and changes of the executable's code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leaktrace::preload {

// Pages within reach (32-bit displacements) of all of [low, high); first writable, executable once sealed, never both.
class CodeArea {
 public:
  // False: there is no such place.
  bool Map(std::uintptr_t low, std::uintptr_t high, std::size_t bytes);
  bool Seal();
  void Unmap();
  [[nodiscard]] std::uint8_t* begin() const { return begin_; }
  [[nodiscard]] std::size_t size() const { return bytes_; }

 private:
  std::uint8_t* begin_ = nullptr;
  std::size_t bytes_ = 0;
};

// Overwrites code that no thread runs. While it is written the page is not executable. False: the code cannot be
// changed, and is as it was.
bool WriteCode(std::uint8_t* at, const std::uint8_t* bytes, std::size_t count);

}  // namespace leaktrace::preload
