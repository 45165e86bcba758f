import Contract
import Wire

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

  func isServed(_ client: IPAddress) -> Bool {
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
  /// Where connections go that are not of the family of `backend`: the same server's other address, if it has one.
  public var backendOfOtherFamily: ListenAddress?
  /// Where requests go that are not for files of `directory`; not together with `backend`.
  public var upstream: UpstreamURL?
  /// A file in PEM with the certificates that the one of an `https` upstream must go back to; `nil`: the system's.
  public var upstreamAuthorities: String?
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
