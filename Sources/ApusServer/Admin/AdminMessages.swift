import FoundationEssentials

/// What to forget.
public enum Purge: Sendable, Hashable {
  /// The objects of one path, as it stands in the request line.
  case path(String)
  /// The objects of all paths that begin so.
  case prefix(String)
  case all
}

/// One line of JSON sent to the admin socket: `{"command":"status"}`, `{"command":"purge","path":"/a.css"}`,
/// `{"command":"purge","prefix":"/img/"}`, `{"command":"purge","all":true}` or `{"command":"reload"}`.
public enum AdminRequest: Sendable, Hashable {
  case status
  case purge(Purge)
  case reload
}

extension AdminRequest: Codable {
  private enum CodingKeys: String, CodingKey {
    case command, path, prefix, all
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let command = try container.decode(String.self, forKey: .command)
    switch command {
    case "status": self = .status
    case "purge": self = .purge(try Self.purge(in: container))
    case "reload": self = .reload
    default: throw AdminFailure("unknown command \(command)")
    }
  }

  private static func purge(in container: KeyedDecodingContainer<CodingKeys>) throws -> Purge {
    let path = try container.decodeIfPresent(String.self, forKey: .path)
    let prefix = try container.decodeIfPresent(String.self, forKey: .prefix)
    let all = try container.decodeIfPresent(Bool.self, forKey: .all) ?? false
    switch (path, prefix, all) {
    case (let path?, nil, false): return .path(path)
    case (nil, let prefix?, false): return .prefix(prefix)
    case (nil, nil, true): return .all
    // Never guess how much somebody wants to be forgotten.
    default: throw AdminFailure("purge takes one of path, prefix, and all")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .status: try container.encode("status", forKey: .command)
    case .reload: try container.encode("reload", forKey: .command)
    case .purge(let what):
      try container.encode("purge", forKey: .command)
      switch what {
      case .path(let path): try container.encode(path, forKey: .path)
      case .prefix(let prefix): try container.encode(prefix, forKey: .prefix)
      case .all: try container.encode(true, forKey: .all)
      }
    }
  }
}

/// One line of JSON the admin socket answers with; exactly one of the keys is there.
struct AdminAnswer: Codable, Sendable, Equatable {
  var status: ServerStatus?
  /// Number of objects removed.
  var purged: Int?
  /// Whether the options hold as they are now.
  var reloaded: Bool?
  var error: String?
}

/// Why the admin socket cannot be had, or a command could not be carried out. The description is for the user.
public struct AdminFailure: Error, CustomStringConvertible, Sendable, Equatable {
  public let description: String
  init(_ description: String) { self.description = description }
}

/// Limits of the admin socket, of either side.
enum AdminLimits {
  /// The newline among them. A path may be as long as a request target of the user half.
  static let requestBytesMax = 2 * ServerLimits.targetBytesMax
  static let answerBytesMax = 1 << 20
  /// Connections served at a time; further ones wait in the backlog.
  static let connectionsMax = 16
  static let backlog: Int32 = 64
  /// From the accepted connection to the last byte of its answer.
  static let exchange_ms = 5_000
  /// Pause after a failed accept(2): without descriptors or memory it would fail again at once.
  static let acceptPause_ms = 100
  /// Waiting for another process that makes its socket in the same directory.
  static let lockWait_ms = 1_000
}

/// JSON in lines.
enum AdminCoding {
  static func line(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // JSON has no raw newline (RFC 8259 section 7), so one ends the value.
    return try [UInt8](encoder.encode(value)) + [UInt8(ascii: "\n")]
  }

  static func decode<Value: Decodable>(_ type: Value.Type, from line: [UInt8]) throws -> Value {
    try JSONDecoder().decode(type, from: Data(line))
  }
}
