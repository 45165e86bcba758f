import Foundation

/// A self-signed certificate made by the openssl command, for a few names and the server's address.
public final class TestCertificate {
  private let directory: ScratchDirectory
  public var certificate: String { directory.path(of: "certificate.pem") }
  public var key: String { directory.path(of: "key.pem") }

  public init(for names: [String], address: String) throws {
    directory = try ScratchDirectory("certificate")
    try make(for: names, address: address)
  }

  /// Makes another one in its place, as a renewal does: both files by rename.
  public func renew(for names: [String], address: String) throws {
    try make(for: names, address: address, suffix: ".new")
    for path in [certificate, key] {
      guard rename(path + ".new", path) == 0 else { throw SupportError.systemCall("rename", errno) }
    }
  }

  private func make(for names: [String], address: String, suffix: String = "") throws {
    let alternatives = (names.map { "DNS:\($0)" } + ["IP:\(address)"]).joined(separator: ",")
    try CommandResult.run([
      "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
      "-subj", "/CN=\(names[0])", "-addext", "subjectAltName=\(alternatives)", "-keyout", key + suffix, "-out",
      certificate + suffix,
    ]).orThrow()
  }
}
