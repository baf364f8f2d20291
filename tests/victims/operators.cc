// Calls every operator new and delete, each from a function of its own, and leaks blocks of sizes that nothing else has. Prints what went wrong and
// ends with status 1 if the operators do not behave as they do without the library.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

void* volatile sink;
int failures = 0;

void Expect(bool condition, const char* what) {
  if (condition) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

constexpr std::align_val_t kAlignment{128};
constexpr std::size_t kTooMuch = std::size_t{1} << 60;

void LeakInSingleNew() {
  for (int i = 0; i < 4; ++i) sink = operator new(2001);
}
void LeakInArrayNew() { sink = operator new[](2002); }
void LeakInSingleNothrow() { sink = operator new(2003, std::nothrow); }
void LeakInArrayNothrow() { sink = operator new[](2004, std::nothrow); }
void LeakInSingleAligned() {
  sink = operator new(2005, kAlignment);
  Expect(reinterpret_cast<std::uintptr_t>(sink) % 128 == 0, "aligned new aligns");
}
void LeakInArrayAligned() { sink = operator new[](2006, kAlignment); }
void LeakInAlignedSingleNothrow() { sink = operator new(2007, kAlignment, std::nothrow); }
void LeakInAlignedArrayNothrow() { sink = operator new[](2008, kAlignment, std::nothrow); }

void DeleteAll() {
  operator delete(operator new(2101));
  operator delete(operator new(2101), std::size_t{2101});
  operator delete(operator new(2101), std::nothrow);
  operator delete(operator new(2101, kAlignment), kAlignment);
  operator delete(operator new(2101, kAlignment), std::size_t{2101}, kAlignment);
  operator delete(operator new(2101, kAlignment), kAlignment, std::nothrow);
  operator delete[](operator new[](2101));
  operator delete[](operator new[](2101), std::size_t{2101});
  operator delete[](operator new[](2101), std::nothrow);
  operator delete[](operator new[](2101, kAlignment), kAlignment);
  operator delete[](operator new[](2101, kAlignment), std::size_t{2101}, kAlignment);
  operator delete[](operator new[](2101, kAlignment), kAlignment, std::nothrow);
  operator delete(nullptr);
}

void ThrowOnFailure() {
  bool thrown = false;
  try {
    sink = operator new(kTooMuch);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  Expect(thrown, "new throws");
  Expect(operator new(kTooMuch, std::nothrow) == nullptr, "nothrow new returns null");
}

// A new-handler releases what it holds back, and gives up the second time.
void* reserve = nullptr;
int handled = 0;
void GiveReserve() {
  ++handled;
  free(reserve);
  reserve = nullptr;
  sink = malloc(2201);
  std::set_new_handler(nullptr);
}
void LeakWhileHandling() {
  reserve = malloc(2202);
  std::set_new_handler(GiveReserve);
  bool thrown = false;
  try {
    sink = operator new(kTooMuch);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  Expect(thrown && handled == 1, "the new-handler runs once, then new throws");
}

// After all those failures a hook must still record.
void LeakAfterThrow() { sink = operator new(2301); }

}  // namespace

int main() {
  LeakInSingleNew();
  LeakInArrayNew();
  LeakInSingleNothrow();
  LeakInArrayNothrow();
  LeakInSingleAligned();
  LeakInArrayAligned();
  LeakInAlignedSingleNothrow();
  LeakInAlignedArrayNothrow();
  DeleteAll();
  ThrowOnFailure();
  LeakWhileHandling();
  LeakAfterThrow();
  return failures == 0 ? 0 : 1;
}
