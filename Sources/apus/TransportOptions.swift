import ApusServer
import ArgumentParser

/// `--proxy`.
struct UpstreamOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A server, here or elsewhere, that answers what is not a file of DIR.",
      discussion: "Its requests say who asked in Forwarded and X-Forwarded-For.", valueName: "url"),
    transform: Self.parse)
  var proxy: UpstreamURL?

  static func parse(_ text: String) throws -> UpstreamURL {
    do {
      return try UpstreamURL(parsing: text)
    } catch {
      throw ValidationError("\(error)")
    }
  }

  func validate(backend: ListenAddress?, listen: [ListenAddress]) throws {
    guard let proxy else { return }
    if backend != nil {
      throw ValidationError("--backend answers every request, and --proxy is for those Apus leaves: give one of them")
    }
    guard let address = ListenAddress("\(proxy.host):\(proxy.port)"), !proxy.isTLS else { return }
    if listen.contains(where: { $0.port == address.port && ServeCommand.overlap($0, address) }) {
      throw ValidationError("--proxy \(proxy) is an address Apus itself is to listen at")
    }
  }
}

/// `--tls` and what it needs.
struct TLSOptionGroup: ParsableArguments {
  @Option(
    name: .customLong("tls"), parsing: .singleValue,
    help: ArgumentHelp("Address and port to answer HTTPS at; may be repeated.", valueName: "addr:port"),
    transform: AddressArgument.parse)
  var listen: [ListenAddress] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Certificate chain in PEM; may be repeated, each with its --key.",
      discussion: "Clients get the one for the name they ask for, else the first. Changed files are loaded again.",
      valueName: "file"), completion: .file())
  var certificate: [String] = []

  @Option(
    parsing: .singleValue, help: ArgumentHelp("Private key in PEM, not encrypted.", valueName: "file"),
    completion: .file())
  var key: [String] = []

  @Option(
    help: ArgumentHelp(
      "Tell browsers to ask over HTTPS only, for so many seconds (Strict-Transport-Security).", valueName: "seconds"))
  var hsts: Int?

  var options: TLSOptions? {
    guard !listen.isEmpty else { return nil }
    return TLSOptions(
      listen: listen, certificates: zip(certificate, key).map { CertificateFiles(certificate: $0, key: $1) },
      hsts_s: hsts)
  }

  func validate(listen plain: [ListenAddress]) throws {
    guard !listen.isEmpty else {
      for (option, isGiven) in [
        ("--certificate", !certificate.isEmpty), ("--key", !key.isEmpty), ("--hsts", hsts != nil),
      ]
      where isGiven {
        throw ValidationError("\(option) is for HTTPS; say where to answer it with --tls")
      }
      return
    }
    try ServeCommand.requireDistinct(listen.map(\.description), option: "--tls")
    guard !certificate.isEmpty else { throw ValidationError("--tls needs --certificate and --key") }
    guard certificate.count == key.count else {
      throw ValidationError("each --certificate needs its --key: there are \(certificate.count) and \(key.count)")
    }
    if let hsts, hsts < 0 { throw ValidationError("--hsts \(hsts) is no number of seconds") }
    for address in listen {
      if plain.contains(where: { $0.port == address.port && ServeCommand.overlap($0, address) }) {
        throw ValidationError("--tls \(address) is an address for HTTP already")
      }
    }
  }
}
