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
        let response = try follow(client.get(target(size) + suffix, fields: fields), over: network)
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

  /// The answer, or the one it sends the client to: another port of the same server.
  private static func follow(_ response: HTTPResponse, over network: TestNetwork) throws -> HTTPResponse {
    guard response.status == 302, let location = response["location"].flatMap(URLComponents.init(string:)),
      location.host == network.serverAddress, let port = location.port
    else { return response }
    let query = location.percentEncodedQuery.map { "?" + $0 } ?? ""
    return try RawClient(network, port: UInt16(port)).get(location.percentEncodedPath + query)
  }
}
