import Contract

/// An IPv4 address and port as a user writes them: `127.0.0.1:8080`, `0.0.0.0:80`.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
  /// Host byte order.
  public var address: UInt32
  public var port: UInt16

  /// 127.0.0.1:8080
  public static let `default` = ListenAddress(address: 0x7f00_0001, port: 8080)

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

/// A prefix of IPv4 addresses as a user writes it: `192.0.2.0/24`, `198.51.100.7`.
public struct AddressPrefix: Sendable, Hashable, CustomStringConvertible {
  /// Host byte order; the bits behind the prefix are zero.
  public let address: UInt32
  /// 0...32.
  public let length: Int

  /// `nil` unless the text is an IPv4 address, alone or with a slash and a length from 0 to 32.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let host = ListenAddress("\(parts[0]):1"), !parts[0].isEmpty, parts[0] != "*",
      let length = parts.count == 1 ? 32 : Int(parts[1]), (0...32).contains(length)
    else { return nil }
    self.length = length
    address = host.address & Self.mask(length)
  }

  private static func mask(_ length: Int) -> UInt32 { length == 0 ? 0 : ~0 << UInt32(32 - length) }

  func contains(_ client: UInt32) -> Bool { client & Self.mask(length) == address }

  public var description: String { "\(ListenAddress(address: address, port: 0).host)/\(length)" }
}

/// Which clients are served.
public struct ClientLists: Sendable, Equatable {
  /// Not empty: only clients in one of these.
  public var allowed: [AddressPrefix]
  /// Nobody in one of these, whatever is allowed.
  public var denied: [AddressPrefix]

  public init(allowed: [AddressPrefix] = [], denied: [AddressPrefix] = []) {
    self.allowed = allowed
    self.denied = denied
  }

  /// - Parameter client: host byte order.
  func isServed(_ client: UInt32) -> Bool {
    !denied.contains { $0.contains(client) } && (allowed.isEmpty || allowed.contains { $0.contains(client) })
  }

  var isEmpty: Bool { allowed.isEmpty && denied.isEmpty }
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

/// HTTPS, on listeners of its own.
public struct TLSOptions: Sendable, Equatable {
  public var listen: [ListenAddress]
  /// The first is for clients that ask for a name no other one has.
  public var certificates: [CertificateFiles]
  /// max-age of Strict-Transport-Security in seconds; `nil`: the field is not sent.
  public var hsts_s: Int?

  public init(listen: [ListenAddress], certificates: [CertificateFiles], hsts_s: Int? = nil) {
    self.listen = listen
    self.certificates = certificates
    self.hsts_s = hsts_s
  }
}

/// What `apus serve` is asked to do.
public struct ServeOptions: Sendable {
  public var directory: String
  public var listen: [ListenAddress]
  /// An unmodified server on this host that can answer every request.
  public var backend: ListenAddress?
  /// Where requests go that are not for files of `directory`; not together with `backend`.
  public var upstream: UpstreamURL?
  /// What to listen at, and with what, for HTTPS.
  public var tls: TLSOptions?
  public var mode: ServeMode
  /// Names of the interfaces to attach to; empty: those that carry the listening addresses.
  public var interfaces: [String]
  /// Path of the admin socket; `nil`: the default (`AdminSocket.defaultPath`).
  public var adminPath: String?
  /// Memory budget of the object store, a power of two.
  public var cacheBytes: Int
  public var clients: ClientLists
  /// Which paths may be answered in the kernel.
  public var kernelPaths: PathSelection
  /// Where requests are logged; `nil`: nowhere.
  public var accessLog: AccessLogOptions?
  /// How the files of `directory` are served.
  public var site = SiteSettings()
  /// Hosts with a document root of their own; `directory` is for all others. Not with `backend`.
  public var virtualHosts: [VirtualHost] = []
  /// Of the user half; its `clients` are those of the options.
  public var server = UserServerConfiguration()

  public init(
    directory: String, listen: [ListenAddress], backend: ListenAddress? = nil, mode: ServeMode = .auto,
    interfaces: [String] = [], adminPath: String? = nil, cacheBytes: Int = Limits.arenaBytesDefault,
    clients: ClientLists = ClientLists(), kernelPaths: PathSelection = PathSelection(), upstream: UpstreamURL? = nil,
    tls: TLSOptions? = nil
  ) {
    self.upstream = upstream
    self.tls = tls
    self.directory = directory
    self.listen = listen
    self.backend = backend
    self.mode = mode
    self.interfaces = interfaces
    self.adminPath = adminPath
    self.cacheBytes = cacheBytes
    self.clients = clients
    self.kernelPaths = kernelPaths
  }
}

/// Why Apus does not serve. The description is a sentence for the user, without `apus: error:`.
public struct ServeFailure: Error, CustomStringConvertible, Sendable {
  public let description: String
  public init(_ description: String) { self.description = description }
}
