// Leaks forever, and tells after every batch how many blocks it has leaked and when: "COUNT NANOSECONDS" (CLOCK_MONOTONIC), a line each.
// Several threads do so at once: `acknowledge THREADS`; a line's count is of all of them, and complete when the line is written.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { kBlock = 41, kBatch = 500 };

static void* volatile sink;

static void LeakAcknowledged(void) {
  for (int i = 0; i < kBatch; ++i) {
    sink = malloc(kBlock);
    // Freed at once, and by the thousands: what the recorder has to keep up with.
    void* passing = malloc(100 + (size_t)i);
    passing = realloc(passing, 700 + (size_t)i);
    free(passing);
  }
}

static atomic_long total;

static void* Run(void* unused) {
  for (;;) {
    LeakAcknowledged();
    const long count = atomic_fetch_add(&total, kBatch) + kBatch;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char line[64];
    const int length = snprintf(line, sizeof line, "%ld %lld\n", count, now.tv_sec * 1000000000ll + now.tv_nsec);
    if (write(STDOUT_FILENO, line, (size_t)length) < 0) return unused;
  }
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 1;
  for (int i = 1; i < threads; ++i) {
    pthread_t thread;
    pthread_create(&thread, NULL, Run, NULL);
  }
  Run(NULL);
  return 0;
}
