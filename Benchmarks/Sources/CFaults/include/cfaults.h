#ifndef CFAULTS_H
#define CFAULTS_H
// What Swift's Glibc module lacks: packet sockets, and functions with a variable number of arguments.
#include <stdint.h>

/// A packet socket (packet(7)) that receives every frame of a device, outgoing ones among them, and sends whole frames
/// to it.
///
/// - Returns: a descriptor, or -1 with errno.
int cfaults_packet_socket(const char *device);

/// Receives one frame, without waiting if `flags` says so.
///
/// - Returns: its length, -1 with errno, or 0 if it was a frame this host sent.
long cfaults_receive(int descriptor, void *frame, unsigned long room, int flags);

/// Sends `count` frames that lie `stride` bytes apart and are `length` bytes long each.
///
/// - Returns: how many were sent, or -1 with errno.
int cfaults_send(int descriptor, void *frames, unsigned stride, unsigned length, unsigned count);

/// The hardware address of a device (6 bytes). -1 with errno if there is none.
int cfaults_hardware_address(const char *device, uint8_t *address);

/// The receive window the peer of a connected TCP socket offered last, in bytes (tcpi_snd_wnd, linux/tcp.h).
unsigned cfaults_peer_window(int descriptor);

/// Stops one thread of another process (ptrace(2)); to be called, as `cfaults_continue_thread`, by the same thread.
int cfaults_stop_thread(int thread);
int cfaults_continue_thread(int thread);

/// Binds the calling thread to one CPU.
int cfaults_bind_to_cpu(int cpu);
#endif
