// Maps memory in every way, each from a function of its own. Prints what went wrong and ends with status 1 if the calls do not behave as they do
// without the library.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kPage = 4096 };
static int failures;

static void Expect(int condition, const char* what) {
  if (condition) return;
  printf("failed: %s\n", what);
  ++failures;
}

static char* Map(size_t pages) {
  return mmap(NULL, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

// Live at the end: 5 pages.
static void MapWhole(void) { memset(Map(5), 1, 5 * kPage); }
// 4 + 3 of 10 pages.
static void MapPartly(void) {
  char* memory = Map(10);
  Expect(munmap(memory + 4 * kPage, 3 * kPage) == 0, "munmap of a part");
}
// None.
static void MapAndUnmap(void) {
  char* memory = Map(7);
  Expect(munmap(memory, 7 * kPage) == 0, "munmap");
}
// 2 pages of the first mapping in front, 4 of the one that replaces the rest.
static void MapUnder(void) {
  char* memory = Map(6);
  char* fixed = mmap(memory + 2 * kPage, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  Expect(fixed == memory + 2 * kPage, "mmap with MAP_FIXED");
}
// 20 pages, elsewhere than the 3 that they were.
static void MapAndMove(void) {
  char* memory = Map(3);
  memory[0] = 42;
  char* moved = mremap(memory, 3 * kPage, 20 * kPage, MREMAP_MAYMOVE);
  Expect(moved != MAP_FAILED && moved[0] == 42, "mremap moves");
}
// 2 of 8 pages.
static void MapAndShrink(void) {
  char* memory = Map(8);
  Expect(mremap(memory, 8 * kPage, 2 * kPage, 0) == memory, "mremap shrinks");
}
// 9 pages, none of which is given back by what fails.
static void MapAndFail(void) {
  char* memory = Map(9);
  errno = 0;
  Expect(munmap(memory + 1, 8 * kPage) == -1 && errno == EINVAL, "munmap refuses what is not aligned");
  errno = 0;
  Expect(mremap(memory, 9 * kPage, 0, 0) == MAP_FAILED && errno == EINVAL, "mremap refuses nothing");
  errno = 0;
  Expect(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL, "mmap refuses nothing");
}
// 11 pages, still mapped though given back.
static void MapAndAdvise(void) {
  char* memory = Map(11);
  memory[0] = 1;
  Expect(madvise(memory, 11 * kPage, MADV_DONTNEED) == 0 && memory[0] == 0, "madvise");
  Expect(madvise(memory, 2 * kPage, MADV_FREE) == 0, "madvise");
}
// 3 pages of a file.
static void MapFile(void) {
  int file = open("mapped-file", O_RDWR | O_CREAT | O_TRUNC, 0600);
  Expect(ftruncate(file, 3 * kPage) == 0, "ftruncate");
  char* memory = mmap(NULL, 3 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  Expect(memory != MAP_FAILED, "mmap of a file");
  memory[0] = 1;
  close(file);
}

int main(void) {
  MapWhole();
  MapPartly();
  MapAndUnmap();
  MapUnder();
  MapAndMove();
  MapAndShrink();
  MapAndFail();
  MapAndAdvise();
  MapFile();
  return failures == 0 ? 0 : 1;
}
