#ifndef CFILESYSTEMS_H
#define CFILESYSTEMS_H
// What tests need to make file systems of their own and Swift's Glibc module leaves out: the protocol of /dev/fuse,
// mount(2), unshare(2), and identities of one thread, which only the bare system calls set.
#include <linux/fuse.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

int unshare(int flags);

enum { cfilesystems_new_mount_namespace = CLONE_NEWNS };

static const unsigned long cfilesystems_private = MS_REC | MS_PRIVATE;

// The effective user identity of the calling thread: inotify counts descriptors and watches by it
// (inotify_new_group in fs/notify/inotify/inotify_user.c).
static inline int cfilesystems_set_effective_user(unsigned user) {
  return (int)syscall(SYS_setresuid, -1, user, -1);
}
#endif
