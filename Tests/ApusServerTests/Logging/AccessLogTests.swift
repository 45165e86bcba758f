import Foundation
import Logging
import NIOCore
import Synchronization
import Testing

@testable import ApusServer

/// The access log as the user half uses it.
@Suite struct AccessLogTests {
  /// A server with an access log, for the duration of `body`; afterwards the log's lines.
  private func logged(
    _ format: AccessLogFormat = .json, _ body: (Int, TemporaryDirectory) async throws -> Void
  ) async throws -> [String] {
    let directory = try TemporaryDirectory()
    let log = try AccessLog(
      AccessLogOptions(path: directory.path + "/.log", format: format), logger: Logger(label: "test"))
    log.start(kernel: nil)
    var configuration = UserServerConfiguration()
    configuration.shutdownGrace_s = 1
    let server = UserServer(
      root: try DocumentRoot(path: directory.path), configuration: configuration, accessLog: log,
      logger: Logger(label: "test"))
    do {
      let bound = try await server.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0)])
      try await body(bound[0].port!, directory)
    } catch {
      await server.shutDown()
      log.stop()
      throw error
    }
    await server.shutDown()
    log.stop()
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: directory.path + "/.log")), as: UTF8.self)
    return text.split(separator: "\n").map(String.init)
  }

  private func objects(_ lines: [String]) throws -> [[String: Any]] {
    try lines.map { try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]) }
  }

  @Test func `every answer has a line with its status and the bytes of its body, in order`() async throws {
    let large = [UInt8](repeating: 7, count: 3_000_000)
    let lines = try await logged { port, directory in
      try directory.write("small", "small")
      try directory.write("large", large)
      let client = try RawClient(port: port)
      try await client.send(
        get("/small", "User-Agent: me\r\nReferer: http://r/\r\n") + get("/large") + get("/none")
          + "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n" + get("/large", "Range: bytes=10-19\r\n")
          + "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
      for (method, count) in [("GET", 5), ("GET", large.count), ("GET", 0), ("HEAD", 0), ("GET", 10), ("POST", 0)] {
        let response = try await client.response(toHead: method == "HEAD")
        if count > 0 { #expect(response.body.count == count) }
      }
      try await client.send("nonsense\r\n\r\n")
      #expect(try await client.response().status == 400)
    }
    let all = try objects(lines)
    #expect(all.map { $0["status"] as? Int } == [200, 200, 404, 200, 206, 405, 400])
    #expect(all.map { $0["target"] as? String } == ["/small", "/large", "/none", "/large", "/large", "/small", nil])
    let bytes = all.map { $0["bytes"] as? Int ?? -1 }
    #expect(bytes[0] == 5 && bytes[1] == large.count && bytes[2] > 0 && bytes[3] == 0 && bytes[4] == 10 && bytes[6] > 0)
    #expect(all[0]["userAgent"] as? String == "me" && all[0]["referer"] as? String == "http://r/")
    #expect(all[6]["request"] as? String == "nonsense")
    for object in all {
      #expect(object["half"] as? String == "user" && object["client"] as? String == "127.0.0.1")
      #expect(object["duration_us"] as? Int ?? -1 >= 0 && object["port"] as? Int ?? 0 > 1023)
    }
  }

  @Test func `a client that leaves in the middle is logged with what it may have got`() async throws {
    let size = 60_000_000
    let lines = try await logged { port, directory in
      try directory.write("huge", [UInt8](repeating: 1, count: size))
      do {
        let client = try RawClient(port: port, receiveBuffer: 4096)
        try await client.send(get("/huge"))
        try await Task.sleep(for: .milliseconds(200))
        // Closed with bytes unread: a reset.
      }
      try await Task.sleep(for: .milliseconds(200))
    }
    let all = try objects(lines)
    #expect(all.count == 1 && all[0]["status"] as? Int == 200)
    #expect((1..<size).contains(all[0]["bytes"] as? Int ?? 0))
  }

  @Test func `thousands of pipelined requests are thousands of lines`() async throws {
    let lines = try await logged(.combined) { port, directory in
      try directory.write("f", "f")
      let client = try RawClient(port: port)
      for _ in 0..<10 {
        try await client.send(String(repeating: get("/f"), count: 500))
        for _ in 0..<500 { #expect(try await client.response().status == 200) }
      }
    }
    #expect(lines.count == 5000)
    #expect(lines.allSatisfy { $0.hasSuffix("\"GET /f HTTP/1.1\" 200 1 \"-\" \"-\"") })
  }

  // MARK: The writer

  private static func entry(_ status: Int) -> AccessEntry {
    AccessEntry(
      outcome: .user, time_ns: 0, client: ClientAddress(ipv4: 0), clientPort: 1, status: status, bodyBytes: 0)
  }

  private func tell(_ log: AccessLog, _ number: Int, request: String = "GET / HTTP/1.1\r\n\r\n") {
    Array(request.utf8).withUnsafeBytes { log.log(Self.entry(number), $0) }
  }

  private func statuses(_ path: String) throws -> [Int] {
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    return try objects(text.split(separator: "\n").map(String.init)).compactMap { $0["status"] as? Int }
  }

  @Test func `rotated while it is written, no line is lost and none is there twice`() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/log"
    let log = try AccessLog(AccessLogOptions(path: path, format: .json), logger: Logger(label: "test"))
    log.start(kernel: nil)
    for number in 0..<20_000 {
      tell(log, number)
      guard number % 2000 == 1999 else { continue }
      try directory.move("log", to: "log.\(number / 2000)")
      log.reopen()
      while access(path, F_OK) != 0 { try await Task.sleep(for: .milliseconds(1)) }
    }
    log.stop()
    var all = try (0..<10).flatMap { try statuses(path + ".\($0)") }
    #expect(try statuses(path).isEmpty)
    #expect(all.count == 20_000)
    all.sort()
    #expect(all == Array(0..<20_000))
    #expect(log.counters.written.load(ordering: .relaxed) == 20_000)
    #expect(log.status(lostInKernel: 3).lost == 3)
  }

  @Test func `too many lines that wait are lost, counted, and said in the log`() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/log"
    let log = try AccessLog(AccessLogOptions(path: path, format: .json), logger: Logger(label: "test"))
    // Nobody writes yet.
    let long = "GET /\(String(repeating: "l", count: 4000)) HTTP/1.1\r\n\r\n"
    let count = ServerLimits.accessLogQueueBytesMax / 4000 + 100
    for number in 0..<count { tell(log, number, request: long) }
    log.start(kernel: nil)
    log.stop()
    let lost = log.counters.lostInQueue.load(ordering: .relaxed)
    #expect(lost > 90)
    #expect(try statuses(path) == Array(0..<count - lost))
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    let last = try objects([String(text.split(separator: "\n").last!)])[0]
    #expect(last["kind"] as? String == "lost" && last["lines"] as? Int == lost)
  }

  @Test func `a log that cannot be written loses lines and nothing else`() throws {
    let messages = Messages()
    let log = try AccessLog(
      AccessLogOptions(path: "/dev/full"), logger: Logger(label: "test") { _ in MessageHandler(messages: messages) })
    log.start(kernel: nil)
    for number in 0..<100 { tell(log, number) }
    log.stop()
    #expect(log.counters.lostInWriting.load(ordering: .relaxed) == 100)
    #expect(log.counters.written.load(ordering: .relaxed) == 0)
    let said = messages.all.withLock { $0 }
    #expect(
      said.contains("cannot write the access log /dev/full: No space left on device; lines are lost, and counted"),
      "\(said)")
    #expect(said.contains("100 lines of the access log are lost, 100 since the start"), "\(said)")
  }

  private final class Messages: Sendable {
    let all = Mutex<[String]>([])
  }

  private struct MessageHandler: LogHandler {
    let messages: Messages
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { messages.all.withLock { $0.append("\(event.message)") } }
  }
}
