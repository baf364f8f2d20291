// Memory and string primitives, none of which calls into libc by name, allocates or fails.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leaktrace::preload {

inline void Copy(void* to, const void* from, std::size_t bytes) { __builtin_memcpy(to, from, bytes); }
inline void Clear(void* at, std::size_t bytes) { __builtin_memset(at, 0, bytes); }

inline std::size_t Length(const char* text) {
  std::size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

inline bool Equal(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

// True if the `length` bytes at `a` are the string `b`.
inline bool Equal(const char* a, std::size_t length, const char* b) {
  for (std::size_t i = 0; i < length; ++i) {
    if (b[i] == '\0' || a[i] != b[i]) return false;
  }
  return b[length] == '\0';
}

// What follows `prefix` in `text`; null if `text` does not begin with it.
inline const char* After(const char* text, const char* prefix) {
  while (*prefix != '\0') {
    if (*text++ != *prefix++) return nullptr;
  }
  return text;
}

// What follows the last slash: the name of the file at `path`.
inline const char* BaseName(const char* path) {
  const char* name = path;
  for (; *path != '\0'; ++path) {
    if (*path == '/') name = path + 1;
  }
  return name;
}

// A NUL-terminated text that is built in memory of fixed size. What does not fit is left out, and Complete() is then
// false.
class TextBuilder {
 public:
  TextBuilder(char* buffer, std::size_t capacity) : buffer_(buffer), capacity_(capacity) { buffer_[0] = '\0'; }

  TextBuilder& Add(char c) {
    if (length_ + 1 < capacity_) {
      buffer_[length_++] = c;
      buffer_[length_] = '\0';
    } else {
      complete_ = false;
    }
    return *this;
  }
  TextBuilder& Add(const char* text) {
    while (*text != '\0') Add(*text++);
    return *this;
  }
  TextBuilder& Add(const char* text, std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) Add(text[i]);
    return *this;
  }
  TextBuilder& AddNumber(std::uint64_t value) {
    char digits[20];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (count > 0) Add(digits[--count]);
    return *this;
  }

  [[nodiscard]] const char* Text() const { return buffer_; }
  [[nodiscard]] std::size_t Size() const { return length_; }
  [[nodiscard]] bool Complete() const { return complete_; }

 private:
  char* buffer_;
  std::size_t capacity_;
  std::size_t length_ = 0;
  bool complete_ = true;
};

}  // namespace leaktrace::preload
