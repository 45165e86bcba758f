#ifndef CTESTSUPPORT_H
#define CTESTSUPPORT_H
// setns(2) is declared by <sched.h> only with _GNU_SOURCE, which Swift's Glibc module is built without.
#include <linux/sched.h>

int setns(int descriptor, int kind);

enum { ctestsupport_network_namespace = CLONE_NEWNET };
#endif
