#ifndef CLINUX_H
#define CLINUX_H
// Declarations Swift cannot import: syscall(2) is variadic, the C library has no openat2(2), its Swift module
// leaves out statfs(2) and setfsuid(2), and O_PATH is behind _GNU_SOURCE.
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

// include/uapi/asm-generic/fcntl.h, in force on every architecture Swift runs on.
#ifdef O_PATH
#undef O_PATH
#endif
static const int O_PATH = 010000000;

static inline int clinux_openat2(int directory, const char *path, const struct open_how *how) {
  return (int)syscall(SYS_openat2, directory, path, how, sizeof(*how));
}
#endif
