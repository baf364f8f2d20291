// The load of the malloc measurement: `malloc-load THREADS PAIRS` makes that many malloc/free pairs per thread from 2,048 distinct stacks of
// ten frames above the thread's function, of 16 to 4,095 bytes. Half of the blocks are freed in LIFO order, half at random times.
// Prints nanoseconds of wall time per pair and thread.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kSlots = 1024, kStack = 16 };

// Two functions per level, each of which calls the two of the level below; the last level has two call sites of malloc. The path's bits choose.
// The assembler comments differ, so that the compiler neither merges equal functions and calls nor turns the calls into jumps.
#define LEVEL_FUNCTION(name, left, right)                                   \
  static __attribute__((noinline)) void* name(unsigned path, size_t size) { \
    void* block;                                                            \
    if (path & 1) {                                                         \
      block = left(path >> 1, size);                                        \
      __asm__ volatile("# " #name " left" : "+r"(block));                   \
    } else {                                                                \
      block = right(path >> 1, size);                                       \
      __asm__ volatile("# " #name " right" : "+r"(block));                  \
    }                                                                       \
    return block;                                                           \
  }
#define LEVEL(n, below)                               \
  LEVEL_FUNCTION(Left##n, Left##below, Right##below)  \
  LEVEL_FUNCTION(Right##n, Left##below, Right##below)
#define ALLOCATE(path, size) malloc(size)

LEVEL_FUNCTION(Left1, ALLOCATE, ALLOCATE)
LEVEL_FUNCTION(Right1, ALLOCATE, ALLOCATE)
LEVEL(2, 1)
LEVEL(3, 2)
LEVEL(4, 3)
LEVEL(5, 4)
LEVEL(6, 5)
LEVEL(7, 6)
LEVEL(8, 7)
LEVEL(9, 8)
LEVEL(10, 9)

static long pairs;

static void* Run(void* seed) {
  void* slots[kSlots] = {NULL};
  void* stack[kStack];
  int depth = 0;
  uint64_t random = (uintptr_t)seed * 0x9e3779b97f4a7c15u + 1;
  for (long i = 0; i < pairs; ++i) {
    random ^= random << 13;  // xorshift64 (Marsaglia 2003)
    random ^= random >> 7;
    random ^= random << 17;
    // Every stack in turn: a pair never has the stack of the pair before, and the branches that lead there can be predicted.
    const unsigned path = (unsigned)i & 1023;
    const size_t size = 16 + (random >> 11) % 4080;
    void* block = i & 1024 ? Left10(path, size) : Right10(path, size);
    if (random >> 62 & 1) {
      stack[depth++] = block;
      if (depth == kStack) {
        while (depth > 0) free(stack[--depth]);
      }
    } else {
      void** slot = &slots[(random >> 30) % kSlots];
      free(*slot);
      *slot = block;
    }
  }
  while (depth > 0) free(stack[--depth]);
  for (int i = 0; i < kSlots; ++i) free(slots[i]);
  return NULL;
}

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int threads = atoi(argv[1]);
  pairs = atol(argv[2]);
  pthread_t ids[64];
  const double start = Now();
  for (int i = 1; i < threads; ++i) pthread_create(&ids[i], NULL, Run, (void*)(uintptr_t)(i + 1));
  Run((void*)(uintptr_t)1);
  for (int i = 1; i < threads; ++i) pthread_join(ids[i], NULL);
  printf("%.1f\n", (Now() - start) / (double)pairs);
  return 0;
}
