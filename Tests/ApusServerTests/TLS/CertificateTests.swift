import Foundation
import Logging
import NIOSSL
import Testing

@testable import ApusServer

/// Certificates made by the openssl command, each for some names.
struct TestCertificates {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Makes `NAME.pem` and `NAME.key`, over what is there.
  @discardableResult
  func make(_ name: String, for hosts: [String], addresses: [String] = []) throws -> CertificateFiles {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let names = (hosts.map { "DNS:\($0)" } + addresses.map { "IP:\($0)" }).joined(separator: ",")
    process.arguments =
      ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
      + ["-subj", "/CN=\(hosts[0])", "-addext", "subjectAltName=\(names)"]
      + ["-keyout", directory.path + "/\(name).key", "-out", directory.path + "/\(name).pem"]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw CannotUseCertificate(description: "openssl does not make certificates here")
    }
    return CertificateFiles(certificate: directory.path + "/\(name).pem", key: directory.path + "/\(name).key")
  }
}

@Suite("TLS: certificates")
struct CertificateTests {
  private let logger = Logger(label: "test")

  @Test("names match as RFC 9525 has it: whole, or * for the first label")
  func names() {
    let names = CertificateNames(["Example.org", "*.example.net"])
    for host in ["example.org", "EXAMPLE.ORG", "a.example.net", "B.Example.Net"] {
      #expect(names.match(host), "\(host)")
    }
    for host in ["", "www.example.org", "example.net", "a.b.example.net", ".example.net", "example", "*"] {
      #expect(!names.match(host), "\(host)")
    }
  }

  @Test("what cannot be used is named with its reason")
  func unusable() throws {
    let made = try TestCertificates()
    let good = try made.make("good", for: ["a.test"])
    let other = try made.make("other", for: ["b.test"])
    let text = try made.directory.write("text", "no certificate")
    func complaint(_ certificate: String, _ key: String) -> String? {
      do {
        _ = try CertificateStore([CertificateFiles(certificate: certificate, key: key)], logger: logger)
        return nil
      } catch {
        return "\(error)"
      }
    }
    #expect(complaint(good.certificate, good.key) == nil)
    #expect(complaint(good.certificate, other.key)?.contains("does not belong to") == true)
    #expect(complaint(good.certificate + "x", good.key)?.contains("No such file") == true)
    #expect(complaint(text, good.key)?.contains("no certificate") == true)
    #expect(complaint(good.certificate, text)?.contains("no private key") == true)
    #expect(
      complaint(good.certificate, made.directory.path)?.contains("cannot") == true
        || complaint(good.certificate, made.directory.path)?.contains("no file") == true)
    #expect(throws: CannotUseCertificate.self, "also where only the second does not fit") {
      try CertificateStore([good, CertificateFiles(certificate: other.certificate, key: good.key)], logger: logger)
    }
  }

  @Test("changed files are loaded again once they fit together; until then the old ones stay")
  func reload() throws {
    let made = try TestCertificates()
    let files = try made.make("site", for: ["a.test"])
    let store = try CertificateStore([files], logger: logger)
    let first = store.context
    #expect(!store.reloadIfChanged())
    #expect(store.context === first)
    // In the middle of a renewal: the new certificate with the old key.
    try made.make("next", for: ["a.test"])
    try made.directory.move("next.pem", to: "site.pem")
    #expect(!store.reloadIfChanged())
    #expect(store.context === first)
    try made.directory.move("next.key", to: "site.key")
    #expect(store.reloadIfChanged())
    #expect(store.context !== first)
  }
}
