#define _GNU_SOURCE
#include "cfaults.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int cfaults_packet_socket(const char *device) {
  int descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
  if (descriptor < 0) return -1;
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(device)};
  struct packet_mreq membership = {.mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
  int buffer_bytes = 64 << 20;
  setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes);
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 ||
      setsockopt(descriptor, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) != 0) {
    int code = errno;
    close(descriptor);
    errno = code;
    return -1;
  }
  return descriptor;
}

long cfaults_receive(int descriptor, void *frame, unsigned long room, int flags) {
  struct sockaddr_ll from;
  socklen_t length = sizeof from;
  long count = recvfrom(descriptor, frame, room, flags, (struct sockaddr *)&from, &length);
  return count > 0 && from.sll_pkttype == PACKET_OUTGOING ? 0 : count;
}

int cfaults_send(int descriptor, void *frames, unsigned stride, unsigned length, unsigned count) {
  enum { batch_max = 64 };
  struct iovec parts[batch_max];
  struct mmsghdr messages[batch_max];
  if (count > batch_max) count = batch_max;
  memset(messages, 0, sizeof messages);
  for (unsigned index = 0; index < count; index++) {
    parts[index] = (struct iovec){(char *)frames + (unsigned long)index * stride, length};
    messages[index].msg_hdr = (struct msghdr){.msg_iov = &parts[index], .msg_iovlen = 1};
  }
  return sendmmsg(descriptor, messages, count, 0);
}

int cfaults_hardware_address(const char *device, uint8_t *address) {
  int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  int result = ioctl(descriptor, SIOCGIFHWADDR, &request);
  int code = errno;
  close(descriptor);
  errno = code;
  if (result == 0) memcpy(address, request.ifr_hwaddr.sa_data, ETH_ALEN);
  return result;
}

unsigned cfaults_peer_window(int descriptor) {
  struct tcp_info information;
  memset(&information, 0, sizeof information);
  socklen_t length = sizeof information;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &information, &length) != 0) return 0;
  return information.tcpi_snd_wnd;
}

int cfaults_stop_thread(int thread) {
  if (ptrace(PTRACE_SEIZE, thread, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, thread, 0, 0) != 0) return -1;
  int status;
  return waitpid(thread, &status, __WALL) == thread ? 0 : -1;
}

int cfaults_continue_thread(int thread) { return ptrace(PTRACE_DETACH, thread, 0, 0) == 0 ? 0 : -1; }

int cfaults_bind_to_cpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof set, &set);
}
