// A process that has others: `family fork`, `family exec PROGRAM ARGUMENTS...` (in a child), `family become PROGRAM ARGUMENTS...` (exec without
// a fork), `family shell COMMAND`. The parent leaks 3 blocks of 303 bytes in LeakInParent, a forked child 5 of 505 in LeakInChild.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void* volatile sink;

static void LeakInParent(void) {
  for (int i = 0; i < 3; ++i) sink = malloc(303);
}
static void LeakInChild(void) {
  for (int i = 0; i < 5; ++i) sink = malloc(505);
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  void* shared = malloc(909);  // lives before the fork and is freed by both
  LeakInParent();
  if (strcmp(argv[1], "become") == 0) {
    execvp(argv[2], argv + 2);
    return 127;
  }
  if (strcmp(argv[1], "shell") == 0) {
    free(shared);
    return WEXITSTATUS(system(argv[2]));
  }
  const pid_t child = fork();
  if (child == 0) {
    free(shared);
    LeakInChild();
    if (strcmp(argv[1], "exec") == 0) {
      execvp(argv[2], argv + 2);
      return 127;
    }
    return 5;
  }
  free(shared);
  int status = 0;
  if (waitpid(-1, &status, 0) != child) return 1;
  return WEXITSTATUS(status);
}
