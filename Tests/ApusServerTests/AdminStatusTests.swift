import Contract
import FoundationEssentials
import Testing

@testable import ApusServer

/// What `apus status --json` says is relied on by programs that are not ours.
@Suite struct AdminStatusTests {
  private let full = ServerStatus(
    mode: .kernel, reason: "why", interfaces: ["lo"], listen: ["127.0.0.1:8080"], directory: "/srv/www",
    backend: "127.0.0.1:81", uptime_s: 1, server: UserServerStatus(connections: 1, requests: 2),
    accessLog: AccessLogStatus(path: "-", format: "json", lines: 9, lostInKernel: 1, lostInQueue: 2, lostInWriting: 3))

  private enum JSON: Decodable, Equatable {
    case object([String: JSON])
    case array([JSON])
    case number(Int)
    case text(String)

    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let object = try? value.decode([String: JSON].self) {
        self = .object(object)
      } else if let array = try? value.decode([JSON].self) {
        self = .array(array)
      } else if let number = try? value.decode(Int.self) {
        self = .number(number)
      } else {
        self = .text(try value.decode(String.self))
      }
    }

    subscript(key: String) -> JSON? {
      if case .object(let members) = self { members[key] } else { nil }
    }
    var keys: [String] {
      if case .object(let members) = self { members.keys.sorted() } else { [] }
    }
  }

  private func json(_ status: ServerStatus) throws -> JSON {
    try AdminCoding.decode(JSON.self, from: AdminCoding.line(status))
  }

  @Test func `the keys are those that were promised`() throws {
    let json = try json(full)
    #expect(
      json.keys == [
        "accessLog", "backend", "cache", "directory", "interfaces", "kernel", "listen", "mode", "reason", "server",
        "uptime_s",
      ])
    #expect(
      json["kernel"]?.keys == [
        "accessEventsLost", "acknowledgements", "challenges", "connections", "drops", "finishes", "handovers",
        "handshakes", "hits",
        "leftForRoute", "leftToKernel", "missEvents", "missEventsLost", "missEventsSuppressed", "notModified", "resets",
        "retransmissions", "segments",
      ])
    #expect(
      json["cache"]?.keys == [
        "budget", "bytes", "bytesUsed", "evictions", "insertions", "invalidations", "objects", "refusals",
      ])
    #expect(json["server"]?.keys == ["connections", "requests"])
    #expect(
      json["accessLog"]?.keys == ["format", "lines", "lostInKernel", "lostInQueue", "lostInWriting", "path"])
    #expect(full.accessLog?.lost == 6)
    #expect(json["mode"] == .text("kernel"))
    #expect(json["interfaces"] == .array([.text("lo")]))
  }

  @Test func `what does not apply is left out, not null`() throws {
    let json = try json(ServerStatus(mode: .user, listen: [], directory: "/", uptime_s: 0))
    #expect(json.keys == ["cache", "directory", "interfaces", "kernel", "listen", "mode", "uptime_s"])
    #expect(json["mode"] == .text("user"))
    #expect(json["kernel"]?["hits"] == .number(0))
  }

  @Test func `every reason is named, also those that did not occur`() throws {
    let json = try json(full)
    #expect(json["kernel"]?["handovers"]?.keys == HandoverReason.allCases.map { "\($0)" }.sorted())
    #expect(json["kernel"]?["drops"]?.keys == DropReason.allCases.map { "\($0)" }.sorted())
    #expect(json["kernel"]?["handovers"]?["noObject"] == .number(0))
  }

  @Test func `each counter is found in its place`() throws {
    // Every word says where it stands, so that no two can be taken for one another.
    let words = (0..<CounterLayout.count).map { UInt64(1000 + $0) }
    let kernel = try #require(try json(ServerStatus.counting(words))["kernel"])
    for counter in Counter.allCases where counter != .handovers {
      #expect(kernel["\(counter)"] == .number(1000 + Int(counter.rawValue)), "\(counter)")
    }
    for reason in HandoverReason.allCases {
      #expect(
        kernel["handovers"]?["\(reason)"] == .number(1000 + CounterLayout.handovers + Int(reason.rawValue)), "\(reason)"
      )
    }
    for reason in DropReason.allCases {
      #expect(kernel["drops"]?["\(reason)"] == .number(1000 + CounterLayout.drops + Int(reason.rawValue)), "\(reason)")
    }
    #expect(kernel["connections"] == .number(7))
  }

  @Test func `a status survives the way over the socket`() throws {
    #expect(try AdminCoding.decode(ServerStatus.self, from: AdminCoding.line(full)) == full)
  }

  @Test(arguments: [
    (AdminRequest.status, #"{"command":"status"}"#),
    (.purge(.path("/a\n\"ü")), #"{"command":"purge","path":"/a\n\"ü"}"#),
    (.purge(.prefix("/img/")), #"{"command":"purge","prefix":"/img/"}"#),
    (.purge(.all), #"{"all":true,"command":"purge"}"#),
  ])
  func `a request is one line, and is read as it was written`(request: AdminRequest, text: String) throws {
    let line = try AdminCoding.line(request)
    #expect(String(decoding: line, as: UTF8.self) == text + "\n")
    #expect(line.count { $0 == UInt8(ascii: "\n") } == 1)
    #expect(try AdminCoding.decode(AdminRequest.self, from: line) == request)
  }

  @Test(arguments: [
    #"{"command":"purge"}"#, #"{"command":"purge","all":false}"#, #"{"command":"purge","all":true,"path":"/a"}"#,
    #"{"command":"purge","path":"/a","prefix":"/"}"#, #"{"command":"format"}"#, #"{}"#, #"[]"#, "", "\u{0}",
  ])
  func `a doubtful request purges nothing`(text: String) {
    #expect(throws: (any Error).self) { try AdminCoding.decode(AdminRequest.self, from: Array(text.utf8)) }
  }
}

extension ServerStatus {
  fileprivate static func counting(_ words: [UInt64]) -> ServerStatus {
    ServerStatus(
      mode: .kernel, listen: [], directory: "/", uptime_s: 0, kernel: KernelStatus(counters: words, connections: 7))
  }
}
