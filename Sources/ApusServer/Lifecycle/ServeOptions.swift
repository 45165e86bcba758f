/// An IPv4 address and port as a user writes them: `127.0.0.1:8080`, `0.0.0.0:80`.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
  /// Host byte order.
  public var address: UInt32
  public var port: UInt16

  public init(address: UInt32, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// `nil` unless the text is four decimal bytes, a colon, and a port from 1 to 65535; `:8080` and `*:8080` stand for
  /// all addresses, `localhost:8080` for 127.0.0.1.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
      return nil
    }
    self.port = port
    switch text[..<colon] {
    case "", "*": address = 0
    case "localhost": address = 0x7f00_0001
    case let host:
      let parts = host.split(separator: ".", omittingEmptySubsequences: false)
      let bytes = parts.compactMap { $0.allSatisfy(\.isNumber) ? UInt8($0) : nil }
      guard parts.count == 4, bytes.count == 4 else { return nil }
      address = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }
  }

  /// The address alone.
  public var host: String {
    [24, 16, 8, 0].map { String(address >> UInt32($0) & 0xff) }.joined(separator: ".")
  }
  public var description: String { "\(host):\(port)" }
  public var isWildcard: Bool { address == 0 }
}

/// Where requests are answered.
public enum ServeMode: String, Sendable, CaseIterable {
  /// In the kernel where this process may, else in user mode.
  case auto
  /// In the kernel, or not at all.
  case kernel
  /// In user mode only.
  case user
}

/// What `apus serve` is asked to do.
public struct ServeOptions: Sendable {
  public var directory: String
  public var listen: [ListenAddress]
  /// An unmodified server on this host that can answer every request.
  public var backend: ListenAddress?
  public var mode: ServeMode
  /// Names of the interfaces to attach to; empty: those that carry the listening addresses.
  public var interfaces: [String]
  /// Path of the admin socket; `nil`: the default (`AdminSocket.defaultPath`).
  public var adminPath: String?
  /// Memory budget of the object store, a power of two.
  public var cacheBytes: Int

  public init(
    directory: String, listen: [ListenAddress], backend: ListenAddress? = nil, mode: ServeMode = .auto,
    interfaces: [String] = [], adminPath: String? = nil, cacheBytes: Int = 64 << 20
  ) {
    self.directory = directory
    self.listen = listen
    self.backend = backend
    self.mode = mode
    self.interfaces = interfaces
    self.adminPath = adminPath
    self.cacheBytes = cacheBytes
  }
}

/// Why Apus does not serve. The description is a sentence for the user, without `apus: error:`.
public struct ServeFailure: Error, CustomStringConvertible, Sendable {
  public let description: String
  public init(_ description: String) { self.description = description }
}
