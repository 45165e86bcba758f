import Glibc
import Logging
import NIOCore
import NIOSSL
import Synchronization

/// A certificate chain and its private key, each a file in PEM.
public struct CertificateFiles: Sendable, Hashable {
  public var certificate: String
  public var key: String

  public init(certificate: String, key: String) {
    self.certificate = certificate
    self.key = key
  }
}

/// Why certificates cannot be used. The description is a sentence for the user.
struct CannotUseCertificate: Error, Equatable, CustomStringConvertible {
  let description: String
}

/// The certificates of the TLS listeners. A client gets the one for the name it asks for (SNI, RFC 6066 section 3), and
/// the first one where there is none for it, or where it asks for no name.
///
/// Files that have changed are loaded again. As long as they do not fit together, as in the middle of a renewal, the
/// certificates that were loaded last stay.
final class CertificateStore: Sendable {
  private let files: [CertificateFiles]
  private let logger: Logger
  private let state: Mutex<State>

  private struct State {
    var context: NIOSSLContext
    var versions: [FileVersion?]
  }

  /// What tells that a file has been written or replaced.
  private struct FileVersion: Equatable {
    var metadata: FileMetadata

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      metadata = FileMetadata(status)
    }
  }

  /// - Parameter files: at least one pair.
  /// - Throws: `CannotUseCertificate`
  init(_ files: [CertificateFiles], logger: Logger) throws {
    precondition(!files.isEmpty, "TLS needs a certificate")
    self.files = files
    self.logger = logger
    let versions = Self.versions(files)
    state = Mutex(State(context: try Self.load(files, logger), versions: versions))
  }

  /// For a new connection.
  var context: NIOSSLContext { state.withLock { $0.context } }

  private static func versions(_ files: [CertificateFiles]) -> [FileVersion?] {
    files.flatMap { [FileVersion($0.certificate), FileVersion($0.key)] }
  }

  /// Loads the files again if one of them has changed. Connections that are open keep what they have.
  ///
  /// - Returns: whether other certificates are used from now on.
  @discardableResult
  func reloadIfChanged() -> Bool {
    let versions = Self.versions(files)
    guard state.withLock({ $0.versions != versions }) else { return false }
    do {
      let context = try Self.load(files, logger)
      state.withLock { $0 = State(context: context, versions: versions) }
      logger.notice("certificates loaded again")
      return true
    } catch {
      // Said once for each change.
      state.withLock { $0.versions = versions }
      logger.warning("the certificates stay as they were: \(error)")
      return false
    }
  }

  // MARK: Loading

  private struct Identity {
    var chain: [NIOSSLCertificate]
    var key: NIOSSLPrivateKey
    var names: CertificateNames
  }

  private static func load(_ files: [CertificateFiles], _ logger: Logger) throws -> NIOSSLContext {
    let identities = try files.map { try identity($0, logger) }
    var configuration = try Self.configuration(identities[0], files[0])
    for (identity, files) in zip(identities, files).dropFirst() {
      // Whether each key is that of its certificate shows when a context is made.
      _ = try context(Self.configuration(identity, files), files)
    }
    if identities.count > 1 {
      configuration.sslContextCallback = { values, promise in
        let name = values.serverHostname ?? ""
        guard let identity = identities.first(where: { $0.names.match(name) }) else {
          return promise.succeed(.noChanges)
        }
        var override = NIOSSLContextConfigurationOverride()
        override.certificateChain = identity.chain.map { .certificate($0) }
        override.privateKey = .privateKey(identity.key)
        promise.succeed(override)
      }
    }
    return try context(configuration, files[0])
  }

  private static func configuration(_ identity: Identity, _ files: CertificateFiles) throws -> TLSConfiguration {
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: identity.chain.map { .certificate($0) }, privateKey: .privateKey(identity.key))
    // TLS 1.0 and 1.1 must not be used (RFC 8996).
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["h2", "http/1.1"]
    return configuration
  }

  private static func context(_ configuration: TLSConfiguration, _ files: CertificateFiles) throws -> NIOSSLContext {
    do {
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw CannotUseCertificate(
        description: "the key \(files.key) does not belong to the certificate \(files.certificate)")
    }
  }

  private static func identity(_ files: CertificateFiles, _ logger: Logger) throws -> Identity {
    let chain: [NIOSSLCertificate]
    let certificateBytes = try read(files.certificate)
    do {
      chain = try NIOSSLCertificate.fromPEMBytes(certificateBytes)
    } catch {
      throw CannotUseCertificate(description: "\(files.certificate) holds no certificate in PEM")
    }
    guard let leaf = chain.first else {
      throw CannotUseCertificate(description: "\(files.certificate) holds no certificate in PEM")
    }
    let key: NIOSSLPrivateKey
    let keyBytes = try read(files.key)
    do {
      key = try NIOSSLPrivateKey(bytes: keyBytes, format: .pem)
    } catch {
      throw CannotUseCertificate(
        description: "\(files.key) holds no private key in PEM, or one that is encrypted")
    }
    if leaf.notValidAfter < time(nil) { logger.warning("the certificate \(files.certificate) has expired") }
    return Identity(chain: chain, key: key, names: CertificateNames(leaf))
  }

  private static func read(_ path: String) throws -> [UInt8] {
    let number = open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else {
      throw CannotUseCertificate(description: "cannot read \(path): \(String(cString: strerror(errno)))")
    }
    let descriptor = Descriptor(owning: number)
    do {
      let metadata = try descriptor.metadata()
      guard metadata.isRegularFile, metadata.size <= 1 << 20 else {
        throw CannotUseCertificate(description: "\(path) is no file of certificates or keys")
      }
      return try descriptor.read(metadata.size)
    } catch let error as CannotUseCertificate {
      throw error
    } catch {
      throw CannotUseCertificate(description: "cannot read \(path)")
    }
  }
}

/// The names a certificate is for: its subjectAltNames of type dNSName (RFC 9525 section 6.3).
struct CertificateNames: Equatable, Sendable {
  /// In lower case.
  let names: [String]

  init(_ names: [String]) { self.names = names.map { $0.lowercased() } }

  init(_ certificate: NIOSSLCertificate) {
    self.init(
      certificate._subjectAlternativeNames().compactMap { name in
        name.nameType == .dnsName ? String(decoding: Array(name.contents), as: UTF8.self) : nil
      })
  }

  /// Whether the certificate is for a host: by its name, or by a `*` in place of the first label.
  func match(_ host: String) -> Bool {
    let host = host.lowercased()
    if names.contains(host) { return true }
    guard let dot = host.firstIndex(of: "."), dot > host.startIndex else { return false }
    return names.contains("*" + host[dot...])
  }
}
