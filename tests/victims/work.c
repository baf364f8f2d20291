// Works in two halves: says "half", waits for a line on stdin (or its end), works on, says "done". `work ROUNDS`.
// Each half leaks one block of 1,009 bytes from LeakHalf and allocates and frees ROUNDS blocks from two threads.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void* volatile sink;
static long rounds;

static void LeakHalf(void) { sink = malloc(1009); }

static void* Churn(void* unused) {
  void* ring[64] = {NULL};
  for (long i = 0; i < rounds; ++i) {
    free(ring[i % 64]);
    ring[i % 64] = malloc(16 + (size_t)(i % 500));
  }
  for (int i = 0; i < 64; ++i) free(ring[i]);
  return unused;
}

static void Work(void) {
  pthread_t other;
  pthread_create(&other, NULL, Churn, NULL);
  Churn(NULL);
  pthread_join(other, NULL);
  LeakHalf();
}

int main(int argc, char** argv) {
  rounds = argc > 1 ? atol(argv[1]) : 10000;
  Work();
  puts("half");
  fflush(stdout);
  char go;
  if (read(STDIN_FILENO, &go, 1) < 0) return 1;
  Work();
  puts("done");
  return 7;
}
