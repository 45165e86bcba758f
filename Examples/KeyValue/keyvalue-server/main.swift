import BPF
import Glibc
import KernelSockets
import KernelSocketsHost
import KeyValueServer
import KeyValueServerObject

// Answers GET of some keys in the kernel, in front of a Redis that listens already:
//
//     keyvalue-server 192.0.2.1:6379 eth0 greeting=hello colour=blue

let arguments = CommandLine.arguments
guard arguments.count >= 3, let listener = SocketAddress(arguments[1]) else {
  print("usage: keyvalue-server ADDRESS:PORT INTERFACE... KEY=VALUE...")
  exit(64)
}
do {
  let host = try KernelSocketHost(
    KeyValueServerImage.bytes, program: "keyvalue_ingress", listener: listener, backend: listener)
  let values = try Values(host)
  for argument in arguments.dropFirst(2) {
    guard let equals = argument.firstIndex(of: "=") else {
      try host.attach(interface: argument)
      continue
    }
    let isSet = try values.set(String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
    if !isSet { print("keyvalue-server: too long for the kernel, left to the server behind: \(argument)") }
  }
  print("keyvalue-server: answering at \(arguments[1])")
  fflush(nil)
  while true {
    sleep(1)
    host.refresh()
  }
} catch {
  print("keyvalue-server: error: \(error)")
  exit(1)
}
