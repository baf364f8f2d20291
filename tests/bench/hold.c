// `hold BLOCKS`: keeps that many blocks of 16 to 271 bytes live, then ends when stdin does.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void* volatile sink;

int main(int argc, char** argv) {
  const long blocks = argc > 1 ? atol(argv[1]) : 0;
  for (long i = 0; i < blocks; ++i) sink = malloc(16 + (size_t)(i * 7 % 256));
  puts("held");
  fflush(stdout);
  char end;
  return read(STDIN_FILENO, &end, 1) < 0;
}
