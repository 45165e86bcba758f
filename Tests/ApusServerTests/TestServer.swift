import Glibc
import Wire
import Synchronization
import Testing

@testable import ApusServer

/// A server of one test on loopback: one connection at a time, each request answered by a closure.
final class TestServer: Sendable {
  struct Reply {
    var bytes: [UInt8]
    var closes: Bool
  }

  let endpoint: BackendEndpoint
  private let listener: Int32
  private let thread: DedicatedThread

  init(_ respond: @escaping @Sendable (_ head: String) -> Reply) {
    let (listener, endpoint) = Self.listen()
    self.listener = listener
    self.endpoint = endpoint
    thread = DedicatedThread(name: "test-server") {
      while true {
        let connection = accept(listener, nil, nil)
        if connection < 0 { return }
        Self.serve(connection, respond)
        close(connection)
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    thread.join()
    close(listener)
  }

  private static func serve(_ connection: Int32, _ respond: (String) -> Reply) {
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(connection, &buffer, buffer.count, 0)
      if count <= 0 { return }
      received += buffer[..<count]
      guard String(decoding: received, as: UTF8.self).hasSuffix("\r\n\r\n") else { continue }
      let reply = respond(String(decoding: received, as: UTF8.self))
      received = []
      _ = send(connection, reply.bytes, reply.bytes.count, Int32(MSG_NOSIGNAL))
      if reply.closes { return }
    }
  }

  /// A listening socket at a port of 127.0.0.1 that was free.
  static func listen() -> (descriptor: Int32, endpoint: BackendEndpoint) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        guard bind(descriptor, $0, length) == 0, Glibc.listen(descriptor, 16) == 0,
          getsockname(descriptor, $0, &length) == 0
        else { fatalError("listen: \(String(cString: strerror(errno)))") }
      }
      return UInt16(bigEndian: $0.pointee.sin_port)
    }
    return (descriptor, BackendEndpoint(address: IPAddress(ipv4: address.sin_addr.s_addr), port: port))
  }
}

/// What a well-behaved server would say, and how a test makes it differ.
struct CannedAnswer: Sendable {
  var body = "body"
  var status = "200 OK"
  var version = "1.1"
  var fields = ["Server: test", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "ETag: \"1\""]
  var date: String? = CannedAnswer.now()
  var framing: [String]?
  /// `nil`: by the request.
  var connection: String??
  var closes: Bool?
  var trailing = ""

  func reply(to head: String) -> TestServer.Reply {
    let wantsClose = head.contains("HTTP/1.0") ? !head.contains("keep-alive") : head.contains("Connection: close")
    var lines = ["HTTP/\(version) \(status)"] + fields
    if let date { lines.append("Date: \(date)") }
    lines += framing ?? ["Content-Length: \(body.utf8.count)"]
    if let connection = connection ?? (wantsClose ? "close" : "keep-alive") {
      lines.append("Connection: \(connection)")
    }
    // HEAD is answered with the head of GET (RFC 9110 section 9.3.2).
    let content = head.hasPrefix("HEAD ") ? "" : body
    let text = lines.map { $0 + "\r\n" }.joined() + "\r\n" + content + trailing
    return TestServer.Reply(bytes: Array(text.utf8), closes: closes ?? wantsClose)
  }

  static func now() -> String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 30)
    strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
    return String(decoding: text.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
