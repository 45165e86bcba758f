import EchoServerObject
import Glibc
import KernelSockets
import KernelSocketsHost

// Puts the kernel part of the echo server in front of one that listens already:
//
//     socat TCP-LISTEN:7,fork,reuseaddr PIPE &
//     echo-server 192.0.2.1:7 eth0

let arguments = CommandLine.arguments
guard arguments.count >= 3, let listener = SocketAddress(arguments[1]) else {
  print("usage: echo-server ADDRESS:PORT INTERFACE...")
  exit(64)
}
do {
  let host = try KernelSocketHost(
    EchoServerImage.bytes, program: "echo_ingress", listener: listener, backend: listener)
  for interface in arguments.dropFirst(2) { try host.attach(interface: interface) }
  print("echo-server: echoing at \(arguments[1])")
  fflush(nil)
  while true {
    sleep(1)
    host.refresh()
  }
} catch {
  print("echo-server: error: \(error)")
  exit(1)
}
