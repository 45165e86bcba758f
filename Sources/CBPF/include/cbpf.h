#ifndef CBPF_H
#define CBPF_H
// Declarations Swift cannot import: syscall(2) is variadic.
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline long cbpf_bpf(int command, void *attributes, unsigned int size) {
  return syscall(SYS_bpf, command, attributes, size);
}
#endif
