// The discovery of mimalloc (v2 and v3, upstream and forks) in one image.
#pragma once

#include <vector>

#include "analyzer/hooks/code_scan.h"
#include "analyzer/hooks/discovery.h"
#include "analyzer/hooks/image.h"

namespace leaktrace::hooks {

// One element per copy of mimalloc whose pages are laid out alike.
std::vector<FoundAllocator> FindMimalloc(const Image& image, const CodeScan& scan);

}  // namespace leaktrace::hooks
