#ifndef CTESTSUPPORT_H
#define CTESTSUPPORT_H
// setns(2) is declared by <sched.h> only with _GNU_SOURCE, which Swift's Glibc module is built without; it lacks the
// addresses of packet sockets, and macros that are computed.
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sched.h>
#include <linux/sockios.h>

int setns(int descriptor, int kind);

enum {
  ctestsupport_network_namespace = CLONE_NEWNET,
  ctestsupport_receive_time = SIOCGSTAMPNS_OLD,
};
#endif
