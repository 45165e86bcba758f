import ApusServer
import ArgumentParser

/// `--proxy` and `--proxy-ca`.
struct UpstreamOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A server, here or elsewhere, that answers what is not a file of DIR.",
      discussion: "Its requests say who asked in Forwarded and X-Forwarded-For.", valueName: "url"),
    transform: Self.parse)
  var proxy: UpstreamURL?

  @Option(
    name: .customLong("proxy-ca"),
    help: ArgumentHelp(
      "Certificates in PEM that the certificate of an https server must go back to, in place of the system's.",
      valueName: "file"), completion: .file())
  var authorities: String?

  static func parse(_ text: String) throws -> UpstreamURL {
    do {
      return try UpstreamURL(parsing: text)
    } catch {
      throw ValidationError("\(error)")
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

  func validate() throws {
    guard certificate.count == key.count else {
      throw ValidationError("each --certificate needs its --key: there are \(certificate.count) and \(key.count)")
    }
  }
}
