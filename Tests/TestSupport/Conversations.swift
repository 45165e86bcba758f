import Foundation

/// What a client sends on one connection, and when.
public struct Conversation: Sendable {
  public struct Step: Sendable {
    public var bytes: [UInt8]
    /// Sent when what came before is answered, or is not going to be; else right behind it, as a segment of its own.
    public var waits: Bool
  }

  public var steps: [Step]
  /// Requests among the steps, as far as a count makes sense.
  public var requests: Int

  /// One request, in so many segments.
  public init(_ pieces: [UInt8]...) {
    steps = pieces.enumerated().map { Step(bytes: $0.element, waits: $0.offset == 0) }
    requests = 1
  }

  /// Requests one after the other.
  public init(inTurn requests: [[UInt8]]) {
    steps = requests.map { Step(bytes: $0, waits: true) }
    self.requests = requests.count
  }

  /// Requests at once: a segment each, or all in one.
  public init(atOnce requests: [[UInt8]], merged: Bool) {
    let pieces = merged ? [Array(requests.joined())] : requests
    steps = pieces.enumerated().map { Step(bytes: $0.element, waits: $0.offset == 0) }
    self.requests = requests.count
  }
}

extension Conversation {
  enum Settings {
    /// Connections at a time.
    static let batch = 48
    /// An answer is over when nothing more has come for so long.
    static let quiet_s = 0.03
    /// No answer will come after so long.
    static let silence_s = 0.25
    /// From the client's FIN to the server's.
    static let end_s = 20.0
  }

  /// Holds the conversations and returns what the server said in each, up to its FIN: nothing depends on how long it
  /// takes. In the end the client closes its side.
  public static func hold(_ all: [Conversation], over network: TestNetwork, port: UInt16 = 80) throws -> [[UInt8]] {
    var answers: [[UInt8]] = []
    for start in stride(from: 0, to: all.count, by: Settings.batch) {
      let batch = all[start..<min(start + Settings.batch, all.count)]
      let connections = try network.client.withThread {
        try batch.map { try Talk($0, to: network.serverAddress, port: port) }
      }
      while connections.contains(where: { !$0.isOver }) {
        let active = connections.filter { !$0.isOver }
        for connection in active { connection.proceed() }
        var waits = active.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        poll(&waits, nfds_t(waits.count), 5)
        for (connection, wait) in zip(active, waits) where wait.revents != 0 { connection.receive() }
      }
      answers += connections.map(\.received)
    }
    return answers
  }
}

/// One conversation under way.
private final class Talk {
  let descriptor: Int32
  private var steps: [Conversation.Step]
  private(set) var received: [UInt8] = []
  private var receivedAtSend = 0
  private var lastEvent_s = monotonicSeconds()
  private var isFinished = false
  private(set) var isOver = false

  init(_ conversation: Conversation, to address: String, port: UInt16) throws {
    steps = conversation.steps.reversed()
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw SupportError.systemCall("socket", errno) }
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    var target = socketAddress(address, port)
    let code = withUnsafePointer(to: &target) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else { throw SupportError.systemCall("connect", errno) }
    // The first step waits for nothing.
    lastEvent_s = 0
  }

  deinit { close(descriptor) }

  /// Sends what is due.
  func proceed() {
    let now_s = monotonicSeconds()
    let waited_s = now_s - lastEvent_s
    let isAnswered = received.count > receivedAtSend
    if isFinished {
      if waited_s > Conversation.Settings.end_s { end("the server does not close") }
      return
    }
    guard waited_s > (isAnswered ? Conversation.Settings.quiet_s : Conversation.Settings.silence_s) else { return }
    lastEvent_s = now_s
    receivedAtSend = received.count
    guard var step = steps.popLast() else {
      isFinished = true
      shutdown(descriptor, Int32(SHUT_WR))
      return
    }
    send(step.bytes)
    while let next = steps.last, !next.waits {
      step = steps.removeLast()
      send(step.bytes)
    }
  }

  private func send(_ bytes: [UInt8]) {
    // The server may have closed already: what it said counts.
    _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL)) }
  }

  func receive() {
    var room = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &room, room.count, Int32(MSG_DONTWAIT))
    if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
    lastEvent_s = monotonicSeconds()
    // A reset after the last answer is an end like another.
    if count <= 0 {
      isOver = true
    } else {
      received += room[..<count]
    }
  }

  private func end(_ remark: String) {
    received += Array("<\(remark)>".utf8)
    isOver = true
  }
}
