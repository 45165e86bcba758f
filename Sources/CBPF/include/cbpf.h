#ifndef CBPF_H
#define CBPF_H
// Declarations Swift cannot import: syscall(2) is variadic. The attributes of each command are laid out in Swift
// (BPF/System/Attributes.swift), so that the installed headers need not be as new as the running kernel.
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/// bpf(2). Returns what the command returns, or -errno.
static inline long cbpf_bpf(int command, void *attributes, unsigned int size) {
  long result = syscall(SYS_bpf, command, attributes, size);
  return result < 0 ? -errno : result;
}
#endif
