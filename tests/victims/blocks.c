// Calls every function of the malloc family, each from a function of its own, and leaks blocks of sizes that nothing else has. Prints what went
// wrong and ends with status 1 if the functions do not behave as they do without the library.
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void* volatile sink;
static int failures;

static void Expect(int condition, const char* what) {
  if (condition) return;
  printf("failed: %s\n", what);
  ++failures;
}

static void LeakInMalloc(void) {
  for (int i = 0; i < 3; ++i) {
    errno = 77;
    sink = malloc(1001);
    Expect(errno == 77, "malloc keeps errno");
    Expect(malloc_usable_size(sink) >= 1001, "malloc_usable_size");
  }
}
static void LeakInCalloc(void) {
  sink = calloc(7, 11);
  for (int i = 0; i < 77; ++i) Expect(((char*)sink)[i] == 0, "calloc zeroes");
  volatile size_t many = SIZE_MAX / 2;
  sink = calloc(many, 3);
  Expect(sink == NULL && errno == ENOMEM, "calloc fails where the product overflows");
}
static void LeakInPlainRealloc(void) {
  char* block = malloc(16);
  memcpy(block, "magic", 6);
  block = realloc(block, 60000);
  Expect(strcmp(block, "magic") == 0, "realloc copies");
  sink = realloc(block, 1201);
}
static void LeakInReallocOfNull(void) { sink = realloc(NULL, 1202); }
static void LeakInFailedRealloc(void) {
  void* block = malloc(1203);
  volatile size_t many = PTRDIFF_MAX;
  errno = 0;
  sink = realloc(block, many - 100);
  Expect(sink == NULL && errno == ENOMEM, "realloc fails");
}
static void ReallocToNothing(void) {
  void* block = malloc(1204);
  void* result = realloc(block, 0);
  if (result != NULL) free(result);
}
static void LeakInReallocarray(void) {
  sink = reallocarray(malloc(10), 13, 17);
  volatile size_t many = SIZE_MAX / 2;
  void* block = sink;
  Expect(reallocarray(block, many, 3) == NULL && errno == ENOMEM, "reallocarray fails where the product overflows");
}
static void LeakInMemalign(void) {
  sink = memalign(64, 1301);
  Expect((uintptr_t)sink % 64 == 0, "memalign aligns");
}
static void LeakInAlignedAlloc(void) {
  sink = aligned_alloc(128, 1408);
  Expect((uintptr_t)sink % 128 == 0, "aligned_alloc aligns");
}
static void LeakInPosixMemalign(void) {
  void* block = NULL;
  Expect(posix_memalign(&block, 256, 1501) == 0 && (uintptr_t)block % 256 == 0, "posix_memalign aligns");
  sink = block;
  Expect(posix_memalign(&block, 3, 1501) == EINVAL, "posix_memalign refuses");
}
static void LeakInValloc(void) { sink = valloc(1601); }
#ifdef __GLIBC__
static void LeakInPvalloc(void) { sink = pvalloc(1602); }
#endif
static void LeakInStrdup(void) { sink = strdup("0123456789"); }

static void FreeAll(void) {
  void (*free_sized)(void*, size_t) = (void (*)(void*, size_t))dlsym(RTLD_DEFAULT, "free_sized");
  void (*free_aligned_sized)(void*, size_t, size_t) =
      (void (*)(void*, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
  for (int i = 0; i < 5; ++i) {
    void* block = malloc(1701);
    errno = 77;
    free(block);
    Expect(errno == 77, "free keeps errno");
    free(NULL);
    if (free_sized != NULL) free_sized(malloc(1702), 1702);
    if (free_aligned_sized != NULL) free_aligned_sized(aligned_alloc(64, 1728), 64, 1728);
  }
}

int main(void) {
  LeakInMalloc();
  LeakInCalloc();
  LeakInPlainRealloc();
  LeakInReallocOfNull();
  LeakInFailedRealloc();
  ReallocToNothing();
  LeakInReallocarray();
  LeakInMemalign();
  LeakInAlignedAlloc();
  LeakInPosixMemalign();
  LeakInValloc();
#ifdef __GLIBC__
  LeakInPvalloc();
#endif
  LeakInStrdup();
  FreeAll();
  return failures == 0 ? 0 : 1;
}
