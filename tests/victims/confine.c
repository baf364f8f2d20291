// Takes something away from a program before it starts, then becomes it:
// `confine WHAT... -- PROGRAM ARGUMENTS...`, each WHAT one of
//   --preload LIBRARY   sets LD_PRELOAD (for the program, not for this one)
//   --memory BYTES      RLIMIT_AS
//   --file-size BYTES   RLIMIT_FSIZE
//   --files COUNT       RLIMIT_NOFILE
//   --no-proc           an empty /proc, in a mount namespace of its own
//   --deny CALL         a seccomp filter under which memfd_create or process_vm_readv or pidfd_open fails with EPERM
// Exit status 77: this machine does not let it.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kNotPossible = 77 };

static void Check(int result, const char* what) {
  if (result == 0) return;
  fprintf(stderr, "confine: %s: %s\n", what, strerror(errno));
  exit(errno == EPERM || errno == ENOSYS ? kNotPossible : 2);
}

static void Limit(int resource, const char* value, const char* what) {
  const struct rlimit limit = {strtoull(value, NULL, 10), strtoull(value, NULL, 10)};
  Check(setrlimit((__rlimit_resource_t)resource, &limit), what);
}

static void HideProc(void) {
  Check(unshare(CLONE_NEWNS), "unshare");
  Check(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount --make-rprivate");
  Check(mount("none", "/proc", "tmpfs", MS_RDONLY, "size=4k"), "mount on /proc");
}

static void Deny(const char* call) {
  const struct {
    const char* name;
    int number;
  } known[] = {{"memfd_create", SYS_memfd_create}, {"process_vm_readv", SYS_process_vm_readv}, {"pidfd_open", SYS_pidfd_open}};
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
    if (strcmp(known[i].name, call) != 0) continue;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)known[i].number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    Check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    Check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
    return;
  }
  fprintf(stderr, "confine: unknown call %s\n", call);
  exit(2);
}

int main(int argc, char** argv) {
  const char* preload = NULL;
  int i = 1;
  for (; i < argc && strcmp(argv[i], "--") != 0; ++i) {
    const char* what = argv[i];
    if (strcmp(what, "--no-proc") == 0) {
      HideProc();
      continue;
    }
    if (i + 1 >= argc) return 2;
    const char* value = argv[++i];
    if (strcmp(what, "--preload") == 0) preload = value;
    else if (strcmp(what, "--memory") == 0) Limit(RLIMIT_AS, value, what);
    else if (strcmp(what, "--file-size") == 0) Limit(RLIMIT_FSIZE, value, what);
    else if (strcmp(what, "--files") == 0) Limit(RLIMIT_NOFILE, value, what);
    else if (strcmp(what, "--deny") == 0) Deny(value);
    else return 2;
  }
  if (i + 1 >= argc) return 2;
  if (preload != NULL) setenv("LD_PRELOAD", preload, 1);
  execvp(argv[i + 1], argv + i + 1);
  fprintf(stderr, "confine: %s: %s\n", argv[i + 1], strerror(errno));
  return 127;
}
