#ifndef CFAULTS_H
#define CFAULTS_H
// Declarations Swift's Glibc module lacks: addresses of packet sockets, functions with a variable number of arguments,
// and functions that are there for _GNU_SOURCE only.
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// struct mmsghdr of sendmmsg(2).
struct cfaults_message {
  struct msghdr header;
  unsigned int length;
};

static inline long cfaults_sendmmsg(int descriptor, struct cfaults_message *messages, unsigned int count) {
  return syscall(SYS_sendmmsg, descriptor, messages, count, 0);
}

static inline long cfaults_ptrace(int request, int thread) { return ptrace(request, thread, 0, 0); }

// `cpus` is a mask of the first 64 CPUs.
static inline long cfaults_sched_setaffinity(unsigned long cpus) {
  return syscall(SYS_sched_setaffinity, 0, sizeof cpus, &cpus);
}

static const int cfaults_PTRACE_SEIZE = PTRACE_SEIZE;
static const int cfaults_PTRACE_INTERRUPT = PTRACE_INTERRUPT;
static const int cfaults_PTRACE_DETACH = PTRACE_DETACH;
static const int cfaults_WALL = 0x40000000;
#endif
