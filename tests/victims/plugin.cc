// A module that is loaded at run time (`moments plugin`).
#include <cstdlib>
#include <new>

namespace {

void* volatile sink;
void LeakAsPluginLoads() { sink = malloc(3501); }
__attribute__((constructor)) void Construct() { LeakAsPluginLoads(); }

}  // namespace

extern "C" void LeakInPlugin() {
  for (int i = 0; i < 3; ++i) sink = operator new(3502);
}
