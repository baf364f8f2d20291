// Which source file a function's code comes from, as the texts say that its assertions and errors mention:
// `crypto/bio/bio_mem.cc` in BoringSSL's OPENSSL_PUT_ERROR, `heap/LocalAllocator.cpp` in WebKit's assertions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "analyzer/symbolize/code_image.h"
#include "analyzer/symbolize/code_references.h"
#include "analyzer/symbolize/function_extent.h"

namespace leaktrace::symbolize {

struct SourceMention {
  std::uint64_t function = 0;  // where its code begins, as far as that can be told
  std::string_view path;       // as in the image
};

// Functions that mention exactly one source file of C, C++, Rust or Zig. Headers do not count: their code is
// everywhere.
std::vector<SourceMention> FindSourceMentions(const CodeImage& image, const CodeReferences& references,
                                              FunctionExtents& extents);

}  // namespace leaktrace::symbolize
