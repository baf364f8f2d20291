// Threads that free each other's blocks: each puts what it allocates into a place that all share and takes out what another put there.
// `exchange THREADS ROUNDS`. What is live at the end: 10 blocks of 77 bytes from LeakPerThread of each thread.
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { kPlaces = 509, kLeaks = 10, kLeakBytes = 77 };

static _Atomic(void*) places[kPlaces];
static long rounds;
static void* volatile sink;

static void LeakPerThread(void) {
  for (int i = 0; i < kLeaks; ++i) sink = malloc(kLeakBytes);
}

static uint64_t Next(uint64_t* state) {  // xorshift64 (Marsaglia 2003)
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void* AllocateAnyhow(uint64_t random) {
  const size_t size = 1 + random % 2000;
  void* block = NULL;
  switch ((random >> 20) % 6) {
    case 0: return calloc(3, size);
    case 1: return memalign(64, size);
    case 2: return posix_memalign(&block, 256, size) == 0 ? block : NULL;
    case 3: return aligned_alloc(128, (size + 127) / 128 * 128);
    default: return malloc(size);
  }
}

static void* Run(void* seed) {
  uint64_t state = (uintptr_t)seed * 0x9e3779b97f4a7c15u + 1;
  for (long i = 0; i < rounds; ++i) {
    const uint64_t random = Next(&state);
    void* mine = AllocateAnyhow(random);
    void* other = atomic_exchange(&places[random % kPlaces], mine);
    if ((random >> 40) % 4 == 0) {
      // Another thread's block, resized here and handed on.
      other = realloc(other, 1 + (random >> 44) % 5000);
      other = atomic_exchange(&places[(random >> 30) % kPlaces], other);
    }
    free(other);
  }
  LeakPerThread();
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int threads = atoi(argv[1]);
  rounds = atol(argv[2]);
  pthread_t ids[256];
  for (int i = 0; i < threads; ++i) pthread_create(&ids[i], NULL, Run, (void*)(uintptr_t)(i + 1));
  for (int i = 0; i < threads; ++i) pthread_join(ids[i], NULL);
  for (int i = 0; i < kPlaces; ++i) free(atomic_exchange(&places[i], NULL));
  puts("done");
  return 0;
}
