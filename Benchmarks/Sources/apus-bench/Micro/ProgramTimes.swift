import Foundation
import KernelTestSupport
import Measuring
import TestSupport

/// What the program takes for each kind of packet, in the running kernel, with packets that are on no wire.
struct ProgramTimes {
  private let program: LoadedProgram
  private let server: Endpoint
  private let samples: Int
  private var nextPort: UInt16 = 20_000

  private static let target = "/file-1024.html"
  /// Of request heads: what a small program sends, and what a browser does.
  private static let headSizes = [120, 900]

  /// Must be used on a thread in the daemon's namespace, which listens on loopback.
  init(_ program: LoadedProgram, port: UInt16, samples: Int) {
    self.program = program
    self.samples = samples
    server = .loopback(1, port: port)
  }

  mutating func measure() throws -> [MicroFigure] {
    var figures: [MicroFigure] = []
    var syn: [Double] = []
    var fin: [Double] = []
    for size in Self.headSizes {
      var hits: [Double] = []
      var misses: [Double] = []
      for _ in 0..<samples {
        var connection = try connect(&syn)
        hits.append(try hit(&connection, Self.head(size, Self.target)))
        fin.append(try time(connection.segment([.fin, .ack])).duration_ns)
        let other = try connect(&syn)
        misses.append(try time(other.segment([.psh, .ack], Self.head(size, "/none?miss"))).duration_ns)
      }
      figures.append(MicroFigure("program: a hit of 1 KB, head of \(size) bytes", unit: "ns", hits))
      figures.append(MicroFigure("program: a miss, head of \(size) bytes", unit: "ns", misses))
    }
    figures.append(MicroFigure("program: SYN", unit: "ns", syn))
    figures.append(MicroFigure("program: FIN of an idle connection", unit: "ns", fin))
    figures.append(MicroFigure("program: a packet of somebody else", unit: "ns", try strangers()))
    return figures
  }

  /// A client's end of a connection.
  private struct Connection {
    let local: Endpoint
    let server: Endpoint
    var next: UInt32
    var received: UInt32 = 0

    func segment(_ flags: SegmentFlags, options: [TCPOptionBytes] = [], _ payload: [UInt8] = []) -> Packet {
      .tcp(
        from: local, to: server, flags, sequence: next, acknowledgement: received, options: options, payload: payload)
    }
  }

  private func time(_ packet: Packet) throws -> (frame: [UInt8], duration_ns: Double) { try program.run(packet.bytes) }

  private mutating func connect(_ times: inout [Double]) throws -> Connection {
    nextPort = nextPort >= 60_000 ? 20_000 : nextPort + 1
    var connection = Connection(local: .loopback(2, port: nextPort), server: server, next: 0x1000)
    let options: [TCPOptionBytes] = [.segmentSize(1460), .selectiveAcknowledgement, .noOperation, .windowScale(7)]
    let answer = try time(connection.segment(.syn, options: options))
    guard let reply = ReceivedSegment(answer.frame), reply.flags == [.syn, .ack] else {
      throw SupportError("the program does not answer a SYN")
    }
    times.append(answer.duration_ns)
    connection.next += 1
    connection.received = reply.sequence &+ 1
    _ = try time(connection.segment(.ack))
    return connection
  }

  private func hit(_ connection: inout Connection, _ head: [UInt8]) throws -> Double {
    let answer = try time(connection.segment([.psh, .ack], head))
    guard let reply = ReceivedSegment(answer.frame), reply.faults.isEmpty,
      reply.payload.starts(with: Array("HTTP/1.1 200".utf8)), reply.payload.ends(with: Site.body(1024))
    else { throw SupportError("the program does not answer a request for what it holds, or wrongly") }
    connection.next &+= UInt32(head.count)
    connection.received = reply.sequence &+ UInt32(reply.payload.count)
    return answer.duration_ns
  }

  private func strangers() throws -> [Double] {
    let other = Connection(local: .loopback(2, port: 20_000), server: .loopback(1, port: 9), next: 1)
    return try (0..<samples).map { _ in try time(other.segment(.ack)).duration_ns }
  }

  /// A request's head of exactly so many bytes, the rest of them a cookie.
  static func head(_ size: Int, _ target: String) -> [UInt8] {
    let start = "GET \(target) HTTP/1.1\r\nHost: apus.test\r\nUser-Agent: apus-bench\r\nAccept: */*\r\nCookie: c="
    let rest = size - start.utf8.count - 4
    precondition(rest >= 0, "the head is longer than \(size) bytes already")
    return Array((start + String(repeating: "x", count: rest) + "\r\n\r\n").utf8)
  }
}

extension [UInt8] {
  fileprivate func ends(with other: [UInt8]) -> Bool { suffix(other.count).elementsEqual(other) }
}
