import ApusServer
import ArgumentParser
import Testing

@testable import apus

/// `--tls` and `--proxy` as the user writes them.
@Suite struct TransportOptionsTests {
  private func options(_ arguments: [String]) throws -> ServeOptions {
    let command = try Apus.parseAsRoot(["serve"] + arguments)
    return try #require(command as? ServeCommand).settings(over: ServeSettings()).options
  }

  @Test func `neither is on by itself`() throws {
    let options = try options([])
    #expect(options.tls == nil && options.upstream == nil)
  }

  @Test func `certificates go with their keys, in their order`() throws {
    let tls = try #require(
      try options([
        "--tls", ":443", "--certificate", "a.pem", "--key", "a.key", "--key", "b.key", "--certificate", "b.pem",
        "--tls", "127.0.0.1:8443", "--hsts", "31536000",
      ]).tls)
    #expect(tls.listen.map(\.description) == ["0.0.0.0:443", "127.0.0.1:8443"])
    #expect(
      tls.certificates == [
        CertificateFiles(certificate: "a.pem", key: "a.key"), CertificateFiles(certificate: "b.pem", key: "b.key"),
      ])
    #expect(tls.hsts_s == 31_536_000)
  }

  @Test func `an upstream is a URL`() throws {
    let upstream = try #require(try options(["--proxy", "https://app.test:8443/"]).upstream)
    #expect(upstream == UpstreamURL(isTLS: true, host: "app.test", port: 8443))
    #expect(try options(["--proxy", "https://app.test", "--proxy-ca", "ca.pem"]).upstreamAuthorities == "ca.pem")
    // A wildcard of another port is not where Apus listens.
    #expect(try options(["--listen", ":80", "--proxy", "http://127.0.0.1:8080"]).upstream != nil)
  }

  @Test(arguments: [
    (["--tls", ":443"], "needs --certificate"), (["--tls", ":443", "--certificate", "a"], "there are 1 and 0"),
    (["--tls", ":443", "--certificate", "a", "--key", "b", "--key", "c"], "there are 1 and 2"),
    (["--certificate", "a"], "there are 1 and 0"), (["--key", "a"], "there are 0 and 1"),
    (["--certificate", "a", "--key", "b"], "--certificate is for HTTPS"),
    (["--hsts", "1"], "--hsts is for HTTPS"),
    (["--tls", ":443", "--tls", "*:443", "--certificate", "a", "--key", "b"], "given twice"),
    (["--tls", ":8080", "--certificate", "a", "--key", "b"], "an address for HTTP already"),
    (["--tls", ":443", "--certificate", "a", "--key", "b", "--hsts=-1"], "no number of seconds"),
    (["--tls", "443", "--certificate", "a", "--key", "b"], "has no port"),
    (["--proxy", "127.0.0.1:3000"], "no http or https URL"), (["--proxy", "http://a/app"], "has a path"),
    (["--proxy", "http://127.0.0.1:8080"], "Apus itself is to listen"),
    (["--proxy", "http://a", "--proxy-ca", "a.pem"], "--proxy-ca is for"),
    (["--proxy-ca", "a.pem"], "--proxy-ca is for"),
    (["--proxy", "http://a", "--backend", "127.0.0.1:81"], "give one of them"),
  ])
  func `wrong usage is named`(arguments: [String], problem: String) throws {
    let error = try #require(throws: (any Error).self) { try Apus.parseAsRoot(["serve"] + arguments) }
    #expect(Apus.exitCode(for: error) == .validationFailure)
    #expect(Apus.fullMessage(for: error).contains(problem), "\(Apus.fullMessage(for: error))")
  }
}
