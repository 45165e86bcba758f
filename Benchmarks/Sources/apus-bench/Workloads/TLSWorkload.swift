import Foundation
import Measuring
import TestSupport

/// The user half over TLS beside nginx, with the same protocol, cipher and certificate: the kernel part has none of it.
struct TLSWorkload: Workload {
  let id = "tls"
  let title = "Over TLS 1.3 with AES-128-GCM, connections kept"
  let needs = [
    Clients.h2load.need, Need(command: "openssl", package: "openssl"), Need(command: "curl", package: "curl"),
  ]

  private static let sizes = [1024, 10_240, 102_400, 1_048_576]

  func count(_ settings: Bench.Settings) -> Int { 2 * Self.sizes.count * settings.repetitions }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    let directory = try ScratchDirectory("tls")
    let (certificate, key) = (directory.path(of: "site.pem"), directory.path(of: "site.key"))
    try CommandResult.run(
      [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7",
        "-subj", "/CN=apus-bench", "-keyout", key, "-out", certificate,
      ]
    ).orThrow()
    let peers: [any Peer] = [
      ConfiguredPeer.nginxTLS(certificate: certificate, key: key),
      ApusPeer(form: .user, arguments: ["--tls", ":443", "--certificate", certificate, "--key", key]),
    ]
    try bench.withServers(peers, sizes: Self.sizes) { servers in
      for server in servers { try Self.check(server, in: directory) }
      for size in Self.sizes {
        try bench.compare(servers, workload: id, size: size) { server in
          var measurement = Bench.Measurement(server, Clients.h2load, size: size, settings: settings)
          measurement.load.isTLS = true
          return measurement
        }
      }
    }
    bench.remark(
      "tls: the protocol, the cipher and the certificate (ECDSA, P-256) are the same. nginx encrypts with OpenSSL 3, Apus "
        + "with BoringSSL; both copy the file into records, without the kernel's TLS.")
  }

  /// What comes over TLS is what is in the files, by the protocol and cipher that will be measured.
  private static func check(_ server: RunningServer, in directory: ScratchDirectory) throws {
    for size in sizes {
      let body = directory.path(of: "body")
      try server.network.client.run(
        [
          "curl", "-sk", "--http1.1", "--tlsv1.3", "--tls13-ciphers", Load.cipher, "-o", body,
          "https://\(server.authority)\(Site.target(size))",
        ]
      ).orThrow()
      guard try directory.read("body") == Site.body(size) else {
        throw SupportError("\(server.peer.id) answers \(Site.target(size)) wrongly over TLS")
      }
    }
  }
}
