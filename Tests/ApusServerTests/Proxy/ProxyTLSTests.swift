import Glibc
import Testing

@testable import ApusServer

@Suite("Proxy: https upstreams")
struct ProxyTLSTests {
  private static let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe"

  private func upstream(_ port: Int, host: String = "localhost", authorities: String?) throws -> Upstream {
    let url = UpstreamURL(isTLS: true, host: host, port: UInt16(port))
    return try Upstream(url, filesComeFirst: true, authorities: authorities)
  }

  @Test("a certificate for the name that goes back to the file's: the name is asked for, the connection kept")
  func trusted() async throws {
    let made = try TestCertificates()
    let files = try made.make("good", for: ["localhost"])
    let server = try TLSUpstream(files, answering: Self.answer)
    try await withProxy(to: try upstream(server.port, authorities: files.certificate)) { port, _ in
      let client = try RawClient(port: port)
      for _ in 0..<2 {
        let response = try await client.exchange(get("/app", "X-Secret: s\r\n"))
        #expect(response.status == 200 && text(response.body) == "safe")
      }
    }
    #expect(server.names == ["localhost"])
    #expect(server.requests.count == 2 && server.requests[0].contains("X-Secret: s\r\n"))
    #expect(server.requests[0].contains("X-Forwarded-Proto: http\r\n"), "that of the client, not of this connection")
  }

  @Test("an address is looked for in the certificate, and no name asked for (RFC 6066 section 3)")
  func address() async throws {
    let made = try TestCertificates()
    let files = try made.make("good", for: ["app.test"], addresses: ["127.0.0.1"])
    let server = try TLSUpstream(files, answering: Self.answer)
    try await withProxy(to: try upstream(server.port, host: "127.0.0.1", authorities: files.certificate)) { port, _ in
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/app")).status == 200)
    }
    #expect(server.names == [""])
  }

  @Test("a certificate for another name or address, of others than the file's, or that the system does not trust: 502")
  func untrusted() async throws {
    let made = try TestCertificates()
    let good = try made.make("good", for: ["localhost"])
    let otherName = try made.make("other", for: ["app.test", "*.localhost"])
    let stranger = try made.make("stranger", for: ["localhost"], addresses: ["127.0.0.1"])
    let cases: [(files: CertificateFiles, host: String, authorities: String?)] = [
      (otherName, "localhost", otherName.certificate), (good, "127.0.0.1", good.certificate),
      (stranger, "localhost", good.certificate), (stranger, "127.0.0.1", good.certificate), (good, "localhost", nil),
    ]
    for (files, host, authorities) in cases {
      let server = try TLSUpstream(files, answering: Self.answer)
      try await withProxy(to: try upstream(server.port, host: host, authorities: authorities)) { port, _ in
        let client = try RawClient(port: port)
        // Told as soon as it is known: with a time-out it would be 504.
        for _ in 0..<2 { #expect(try await client.exchange(get("/app", "X-Secret: s\r\n")).status == 502) }
        #expect(text(try await client.exchange(get("/file")).body) == "from the directory")
      }
      #expect(server.requests.isEmpty, "who it is must be known before it is told anything")
      #expect(!server.names.isEmpty)
    }
  }

  @Test("an upstream that does not speak TLS: 502; one that does not go on with its handshake: 504")
  func noHandshake() async throws {
    let plain = ScriptedUpstream { _, _ in .init("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") }
    try await withProxy(to: try upstream(plain.port, authorities: nil)) { port, _ in
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/app")).status == 502)
    }
    let closing = ScriptedUpstream { _, _ in .init("", closes: true) }
    try await withProxy(to: try upstream(closing.port, authorities: nil)) { port, _ in
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/app")).status == 502)
    }
    let silent = ScriptedUpstream { _, _ in nil }
    var timeouts = ProxyTimeouts()
    timeouts.connect_s = 1
    try await withProxy(to: try upstream(silent.port, authorities: nil), timeouts: timeouts) { port, _ in
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/app")).status == 504)
      #expect(text(try await client.exchange(get("/file")).body) == "from the directory")
    }
  }

  @Test(
    "a body that ends with its connection is whole after close_notify, and broken off without (RFC 9112 section 9.8)")
  func untilClose() async throws {
    let made = try TestCertificates()
    let files = try made.make("good", for: ["localhost"])
    for (ending, isWhole) in [(TLSUpstream.Ending.closeNotify, true), (.truncation, false)] {
      let server = try TLSUpstream(files, answering: "HTTP/1.1 200 OK\r\n\r\nbytes", ending: ending)
      try await withProxy(to: try upstream(server.port, authorities: files.certificate)) { port, _ in
        try await expectUntilClose(port, isWhole: isWhole)
      }
    }
    for (reply, isWhole) in [
      (ScriptedUpstream.Reply("HTTP/1.1 200 OK\r\n\r\nbytes", closes: true), true),
      (ScriptedUpstream.Reply("HTTP/1.1 200 OK\r\n\r\nbytes", resets: true), false),
    ] {
      let plain = ScriptedUpstream.answering(reply)
      try await withProxy(to: plain.port) { port, _ in try await expectUntilClose(port, isWhole: isWhole) }
    }
  }

  private func expectUntilClose(_ port: Int, isWhole: Bool) async throws {
    let client = try RawClient(port: port)
    try await client.send(get("/app", "Connection: close\r\n"))
    let answer = text(try await client.receiveAll())
    #expect(answer.contains("bytes"))
    #expect(answer.hasSuffix("\r\n0\r\n\r\n") == isWhole, "\(answer)")
  }

  @Test("a file without certificates is named")
  func authorities() throws {
    let directory = try TemporaryDirectory()
    let garbage = try directory.write("garbage", "no certificate")
    for path in [garbage, directory.path + "/missing"] {
      let error = #expect(throws: CannotUseCertificate.self) { try upstream(443, authorities: path) }
      #expect(error?.description.contains(path) == true)
    }
  }
}
