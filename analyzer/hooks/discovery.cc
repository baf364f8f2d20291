#include "analyzer/hooks/discovery.h"

#include "analyzer/hooks/code_scan.h"
#include "analyzer/hooks/image.h"
#include "analyzer/hooks/mimalloc.h"

namespace leaktrace::hooks {

absl::StatusOr<Discovery> Discover(const std::string& path) {
  auto image = Image::Load(path);
  if (!image.ok()) return image.status();
  Discovery discovery;
  discovery.build_id = image->build_id();
  if (image->text().bytes.empty()) return discovery;
  discovery.has_libpas = image->HasText("pas_segregated_page_deallocate_with_page");
  const CodeScan scan(*image);
  discovery.allocators = FindMimalloc(*image, scan);
  return discovery;
}

}  // namespace leaktrace::hooks
