import Foundation
import Measuring
import TestSupport

/// The files all servers serve: one of each size, every byte of them told by the size, so that no other file and no
/// part of one passes for it.
final class Site {
  private let directory: ScratchDirectory
  private var sizes: Set<Int> = []

  init(_ sizes: [Int]) throws {
    directory = try ScratchDirectory("bench")
    for size in Set(sizes) { try directory.write(Self.body(size), to: Self.name(size)) }
    self.sizes = Set(sizes)
  }

  var root: String { directory.path }

  static func target(_ size: Int) -> String { "/" + name(size) }

  private static func name(_ size: Int) -> String { "file-\(size).html" }

  static func body(_ size: Int) -> [UInt8] {
    var state = UInt64(size) &* 0x9e37_79b9_7f4a_7c15 | 1
    return (0..<size).map { _ in
      // Marsaglia's xorshift; letters, as HTML has them.
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return UInt8(ascii: "a") + UInt8(truncatingIfNeeded: state >> 33) % 26
    }
  }

  /// Asks for every size, with connections kept and not, and compares the bodies.
  ///
  /// - Parameter suffix: of the targets.
  static func check(_ sizes: [Int], of server: String, over network: TestNetwork, suffix: String = "") throws {
    let kept = try RawClient(network)
    for size in Set(sizes).sorted() {
      let expected = body(size)
      let closing = try RawClient(network)
      for (client, fields) in [(kept, ""), (kept, ""), (closing, "Connection: close\r\n")] {
        let response = try client.get(target(size) + suffix, fields: fields)
        guard response.status == 200, response.body == expected else {
          throw SupportError(
            "\(server) answers \(target(size)) wrongly: status \(response.status), \(response.body.count) bytes: "
              + "nothing is measured of it")
        }
      }
      guard try closing.isClosedByServer() else {
        throw SupportError("\(server) does not close connections when told to")
      }
    }
  }
}
