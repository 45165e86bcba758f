import ArgumentParser
import Foundation
import Loading

/// A client for what others measure of themselves: how a server does at a rate it does not choose.
struct LoadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Asks a server for a file at a fixed rate, over kept connections, and says how long answers took.",
    discussion: "Prints a line of JSON; times are in microseconds from when a request was due.")

  @Argument(help: "http://ADDRESS[:PORT]/PATH, the address one of IPv4.")
  var url: String

  @Option(help: "Requests a second.")
  var rate: Double

  @Option(help: "Kept connections.")
  var connections = 32

  @Option(help: "Seconds.")
  var duration = 1.0

  func validate() throws {
    guard rate > 0, rate <= 100_000_000, connections > 0, connections <= 10_000, duration > 0, duration <= 3600 else {
      throw ValidationError("Out of range: --rate, --connections or --duration.")
    }
  }

  func run() throws {
    guard let target = URLComponents(string: url), target.scheme == "http", let host = target.host else {
      throw ValidationError("\(url) is no http://ADDRESS/PATH")
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(target.port ?? 80).bigEndian
    guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
      throw ValidationError("\(host) is no address of IPv4")
    }
    let authority = host + (target.port.map { ":\($0)" } ?? "")
    let path = target.percentEncodedPath.isEmpty ? "/" : target.percentEncodedPath
    let query = target.percentEncodedQuery.map { "?" + $0 } ?? ""
    let request = "GET \(path)\(query) HTTP/1.1\r\nHost: \(authority)\r\n\r\n"
    var loop = try OpenLoop(to: address, request: Array(request.utf8), rate: rate, connections: connections)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    print(String(decoding: try encoder.encode(loop.run(duration_s: duration)), as: UTF8.self))
  }
}
