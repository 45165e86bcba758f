import NIOSSL

/// Where requests go that Apus does not answer itself.
struct Upstream: Sendable {
  let url: UpstreamURL
  /// Whether files of the document root are Apus's to answer, or all requests are the upstream's.
  let filesComeFirst: Bool
  /// For an `https` URL.
  let tls: NIOSSLContext?

  /// - Parameter authorities: a file in PEM with the certificates that the upstream's must go back to; `nil`: those the
  ///   system trusts.
  /// - Throws: `CannotUseCertificate`
  init(_ url: UpstreamURL, filesComeFirst: Bool, authorities: String? = nil) throws {
    self.url = url
    self.filesComeFirst = filesComeFirst
    guard url.isTLS else {
      tls = nil
      return
    }
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    if let authorities { configuration.trustRoots = .certificates(try Self.certificates(authorities)) }
    tls = try NIOSSLContext(configuration: configuration)
  }

  private static func certificates(_ path: String) throws -> [NIOSSLCertificate] {
    let certificates: [NIOSSLCertificate]
    do {
      certificates = try NIOSSLCertificate.fromPEMFile(path)
    } catch {
      throw CannotUseCertificate(description: "there are no certificates in PEM to be read in \(path)")
    }
    guard !certificates.isEmpty else { throw CannotUseCertificate(description: "there is no certificate in \(path)") }
    return certificates
  }
}

extension ServerWorker {
  /// Whether a request is the upstream's: with files first every one but GET and HEAD for a file of the document root.
  ///
  /// A directory is only taken for an answer where its index is one.
  func proxies(_ head: RequestHead, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard filesComeFirst, head.method == .get || head.method == .head, !head.hasBody, !head.path.isEmpty else {
      return true
    }
    let path = UnsafeRawBufferPointer(rebasing: bytes[head.path])
    let site = files.sites.index(host: UnsafeRawBufferPointer(rebasing: bytes[head.host]))
    switch files.answer(site: site, path: path, query: UnsafeRawBufferPointer(start: nil, count: 0), now_ns: now_ns) {
    case .file, .directory, .redirection: return false
    case .status(let response):
      switch response.status {
      // There is a file, and something is wrong with this server.
      case .internalServerError, .serviceUnavailable: return false
      case .movedPermanently: return !hasIndex(Array(path), site: site)
      default: return true
      }
    }
  }

  private func hasIndex(_ directory: [UInt8], site: Int) -> Bool {
    let path = directory + [UInt8(ascii: "/")]
    return path.withUnsafeBytes { path in
      switch files.answer(site: site, path: path, query: UnsafeRawBufferPointer(start: nil, count: 0), now_ns: now_ns) {
      case .file, .directory: true
      case .redirection, .status: false
      }
    }
  }
}
