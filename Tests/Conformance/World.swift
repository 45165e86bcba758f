import KernelTestSupport

/// Where a script is played: before the live program, or a simulated kernel.
public protocol World: AnyObject {
  var client: Endpoint { get }
  var server: Endpoint { get }
  /// Whether what the kernel's own TCP does can be seen. Where not, a script ends with the first word of it.
  var hasKernel: Bool { get }

  /// The largest segment the server's device carries.
  var mssMax: UInt16 { get }

  /// Puts a packet on the wire.
  func send(_ packet: Packet) throws
  /// The next segment for the client, or nil after so long without one.
  func receive(timeout_ms: Int) throws -> SegmentInTime?
  func pause(ms: Int)
  /// The packet sent last has been left to the kernel; only asked where the kernel cannot be seen.
  func isLeftToKernel() -> Bool
  /// Gives the file behind a path other bytes, and returns when the server knows.
  func replace(_ path: String) throws
  func setListener(isAccepting: Bool) throws
  /// Gives a setting of the server's kernel, as `tcp_sack`, another value.
  func set(_ setting: String, to value: Int) throws
}

extension World {
  public func set(_ setting: String, to value: Int) throws {
    preconditionFailure("\(setting): there is no kernel here whose settings could be changed")
  }
}

/// A segment, and how long after the last packet of the client it was on the wire.
public struct SegmentInTime: Sendable {
  public let segment: ReceivedSegment
  public let after_ms: Double

  public init(_ segment: ReceivedSegment, after_ms: Double) {
    self.segment = segment
    self.after_ms = after_ms
  }
}

/// The files all worlds serve.
public enum ServedFiles {
  /// Bytes of the file at each path; all but the largest are answered by the kernel part.
  ///
  /// The heads of the worlds differ in length, but so little that a response has as many segments in either.
  public static let sizes: [String: Int] = [
    "/small": 200, "/other": 900, "/empty": 0, "/changing-1": 300, "/changing-2": 300, "/changing-3": 3000,
    "/two": 2000,
    "/three": 1300, "/five": 6500, "/ten": 13_900, "/large": 100_000,
  ]

  /// Lines of a width no power of two divides, so that a byte out of place shows.
  public static func body(_ path: String) -> [UInt8] {
    let salt = path.utf8.reduce(0) { $0 &+ Int($1) }
    return (0..<(sizes[path] ?? 0)).map { UInt8(ascii: "a") + UInt8(($0 + salt) % 23) }
  }
}

/// A script that did not come out as written.
public struct Mismatch: Error, CustomStringConvertible {
  public let line: Int
  public let reason: String
  /// What was sent and received up to then.
  public let transcript: [String]

  public var description: String { "\(reason)\n" + transcript.map { "    \($0)" }.joined(separator: "\n") }
}
