#ifndef CLINUX_H
#define CLINUX_H
// Declarations Swift cannot import: syscall(2) and ioctl(2) are variadic, the C library has no openat2(2), its Swift
// module leaves out eventfd(2), statfs(2), setfsuid(2) and sched_getaffinity(2), and O_PATH, F_SETLEASE and statx(2) are
// behind _GNU_SOURCE.
#include <linux/openat2.h>
#include <linux/sockios.h>
#include <linux/stat.h>
#include <sys/eventfd.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

// include/uapi/asm-generic/fcntl.h, in force on every architecture Swift runs on.
#ifdef O_PATH
#undef O_PATH
#endif
static const int O_PATH = 010000000;

// include/uapi/linux/fcntl.h: F_LINUX_SPECIFIC_BASE + 0.
#ifdef F_SETLEASE
#undef F_SETLEASE
#endif
static const int F_SETLEASE = 1024;

// include/uapi/linux/fcntl.h.
static const int clinux_at_fdcwd = -100;
static const int clinux_at_symlink_nofollow = 0x100;
static const int clinux_at_empty_path = 0x1000;
static const int clinux_at_statx_force_sync = 0x2000;

static inline int clinux_statx(int directory, const char *path, int flags, struct statx *status) {
  return (int)syscall(SYS_statx, directory, path, flags, STATX_BASIC_STATS, status);
}

static inline int clinux_openat2(int directory, const char *path, const struct open_how *how) {
  return (int)syscall(SYS_openat2, directory, path, how, sizeof(*how));
}

// Bytes of a TCP socket that the peer has not acknowledged, sent or not; -1 for none (tcp(7)).
static inline int clinux_siocoutq(int socket) {
  int bytes;
  return ioctl(socket, SIOCOUTQ, &bytes) == 0 ? bytes : -1;
}

// The calling thread's. Returns how many bytes of the mask the kernel wrote.
static inline long clinux_sched_getaffinity(void *mask, size_t size) {
  return syscall(SYS_sched_getaffinity, 0, size, mask);
}
#endif
