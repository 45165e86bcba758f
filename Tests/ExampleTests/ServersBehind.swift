import Foundation
import TestSupport

/// The servers in user mode the examples stand in front of, so made that an answer shows who gave it; and clients.
/// Their arguments: address and port.
enum Programs {
  /// Sends back what it gets, upper case and lower case changed.
  static let echoBehind = #"""
    import socket, sys, threading
    family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
    def serve(connection):
      while True:
        data = connection.recv(65536)
        if not data: break
        connection.sendall(data.swapcase())
      connection.close()
    print("ready", flush=True)
    while True:
      threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    """#

  /// Says of every piece it gets how long it is.
  static let keyValueBehind = #"""
    import socket, sys, threading
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
    def serve(connection):
      while True:
        data = connection.recv(65536)
        if not data: break
        connection.sendall(b"+behind %d\r\n" % len(data))
      connection.close()
    print("ready", flush=True)
    while True:
      threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    """#

  /// Sends each further argument, and prints what comes back in a line, until the answer is as long as the argument
  /// before it says; then closes, and prints what comes behind.
  static let client = #"""
    import socket, sys
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for length, text in zip(sys.argv[3::2], sys.argv[4::2]):
      connection.sendall(text.encode().decode("unicode_escape").encode())
      answer = b""
      while len(answer) < int(length):
        piece = connection.recv(65536)
        if not piece: break
        answer += piece
      print(answer.decode().encode("unicode_escape").decode())
    connection.shutdown(socket.SHUT_WR)
    print("end:", connection.recv(65536))
    """#

  /// Sends 300,000 bytes as fast as it can while it reads, and says whether what comes back is what the server behind
  /// makes of them.
  static let bulkClient = #"""
    import socket, sys, threading
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
    data = (b"ABCDEFGHIJ" * 30)[:293] * 1024
    def send():
      connection.sendall(data)
      connection.shutdown(socket.SHUT_WR)
    threading.Thread(target=send).start()
    answer = b""
    while True:
      piece = connection.recv(65536)
      if not piece: break
      answer += piece
    print(len(answer), answer == data.swapcase())
    """#

  /// A path of an executable that was built with the tests.
  static func built(_ name: String) -> String {
    String(ApusProcess.binary.dropLast("apus".count)) + name
  }
}

extension TestNetwork {
  /// Starts a Python server behind and the example in front of it, on the server's address.
  func start(_ behind: String, port: UInt16, _ example: String, _ arguments: [String] = []) throws {
    let server = try self.server.start(["python3", "-c", behind, serverAddress, "\(port)"])
    adopt(server)
    _ = try server.waitForLine(beginning: "ready")
    let front = try self.server.start([Programs.built(example), self.server(port: port), "eth0"] + arguments)
    adopt(front)
    _ = try front.waitForLine(beginning: "\(example): ")
  }

  /// Runs a Python client to its end: the lines it has printed.
  func runClient(_ program: String, port: UInt16, _ arguments: [String] = []) throws -> [String] {
    try client.run(["python3", "-c", program, serverAddress, "\(port)"] + arguments).orThrow().output
      .split(separator: "\n").map(String.init)
  }
}
