import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// `--proxy` with an application behind that is not Apus's, and `--backend` without a kernel part.
  @Suite struct Proxy {
    private func startApplication(_ network: TestNetwork, port: UInt16 = 3000) throws {
      let application = try network.server.startPython(
        PythonPrograms.application, network.serverAddress, "\(port)")
      network.adopt(application)
      _ = try application.waitForLine(beginning: "ready")
      #expect(eventually(timeout_s: 5) { (try? RawClient(network, port: port)) != nil })
    }

    private func expectProxied(_ network: TestNetwork, _ apus: ApusProcess, port: UInt16 = 80) throws {
      let client = try RawClient(network, port: port)
      for _ in 0..<2 {
        expectFile(try client.get(Site.large), Site.large)
        let echo = try client.get("/echo?x", fields: "X-Forwarded-For: 1.2.3.4\r\nConnection: X-Hop\r\nX-Hop: 1\r\n")
        let text = String(decoding: echo.body, as: UTF8.self)
        #expect(echo.status == 200 && echo["via"] == "1.1 apus")
        #expect(text.contains("X-Forwarded-For: \(network.clientAddress)\n"), "\(text)")
        #expect(!text.contains("1.2.3.4") && !text.contains("X-Hop"))
        #expect(try client.get("/none").status == 404)
      }
      let sent = [UInt8](repeating: 0x61, count: 3_000_000)
      try client.send(Array("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: \(sent.count)\r\n\r\n".utf8) + sent)
      #expect(String(decoding: try client.readResponse().body, as: UTF8.self).contains("\n3000000 "))
      try client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
      #expect(String(decoding: try client.readResponse().body, as: UTF8.self).contains("\n5 "))
      let socket = try network.client.python(
        PythonPrograms.webSocketClient, network.serverAddress, "\(port)"
      ).orThrow()
      #expect(socket.output == "HTTP/1.1 101 Switching Protocols\nsame\nsame\nsame\nend\n", "\(socket.output)")
    }

    @Test func `in user mode files are Apus's and all else the application's`() throws {
      try TestNetwork.withLoopbackUnprivileged { network in
        try startApplication(network)
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, port: 8080, mode: "user",
          arguments: ["--proxy", "http://\(network.serverAddress):3000"])
        try expectProxied(network, apus, port: 8080)
      }
    }

    @Test(.kernelMode) func `in kernel mode files are hits, and what is handed over is proxied`() throws {
      try TestNetwork.withVeth { network in
        try startApplication(network)
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, arguments: ["--proxy", "http://\(network.serverAddress):3000"])
        try apus.warm([Site.small], over: network)
        let before = try apus.status()
        let client = try RawClient(network, port: 80)
        expectFile(try client.get(Site.small), Site.small)
        #expect(try apus.status { $0.hits > before.hits }.hits == before.hits + 1)
        // The same connection goes on at the user half.
        #expect(try client.get("/echo").status == 200)
        try expectProxied(network, apus)
      }
    }

    @Test func `HTTPS and HTTP/2 are proxied as well, with WebSocket over HTTP/1`() throws {
      try TestNetwork.withLoopbackUnprivileged { network in
        try startApplication(network)
        let certificate = try TestCertificate(for: ["apus.test"], address: network.serverAddress)
        _ = try ApusProcess(
          in: network, root: Site.shared.root, port: 8080, mode: "user",
          arguments: [
            "--proxy", "http://\(network.serverAddress):3000", "--tls", "\(network.serverAddress):8443",
            "--certificate", certificate.certificate, "--key", certificate.key,
          ])
        let scratch = try ScratchDirectory("upload")
        try scratch.write([UInt8](repeating: 0x61, count: 3_000_000), to: "body")
        for (version, via) in [("--http1.1", "1.1"), ("--http2", "2.0")] {
          let base = ["curl", "-sS", "--max-time", "20", "--cacert", certificate.certificate, version]
          let url = "https://\(network.serverAddress):8443"
          for upload in [["--data-binary", "@" + scratch.path(of: "body")], ["-X", "POST", "-T", "-"]] {
            let command = base + upload + [url + "/echo"]
            let quoted = command.map { "'\($0)'" }.joined(separator: " ") + " <\(scratch.path(of: "body"))"
            let output = try network.client.run(["sh", "-c", quoted]).orThrow().output
            #expect(output.contains("\n3000000 "), "\(output)")
            #expect(output.contains("Via: \(via) apus\n") && output.contains("X-Forwarded-Proto: https\n"))
          }
          #expect(try network.client.run(base + [url + "/slow"]).orThrow().output == "0\n1\n2\n3\n4\n")
          #expect(try network.client.run(base + ["-I", url + "/echo"]).orThrow().output.contains("200"))
        }
        let socket = try network.client.python(
          PythonPrograms.webSocketClient, network.serverAddress, "8443", certificate.certificate
        ).orThrow()
        #expect(socket.output == "HTTP/1.1 101 Switching Protocols\nsame\nsame\nsame\nend\n", "\(socket.output)")
      }
    }

    @Test(.kernelMode) func `with a backend in kernel mode HTTPS goes to it by the proxy`() throws {
      try TestNetwork.withVeth { network in
        let nginx = try NginxServer(in: network, port: 8081, root: Site.shared.root)
        let certificate = try TestCertificate(for: ["apus.test"], address: network.serverAddress)
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, backendPort: 8081,
          arguments: [
            "--tls", "\(network.serverAddress):443", "--certificate", certificate.certificate, "--key", certificate.key,
          ])
        let answer = try network.client.run([
          "curl", "-sS", "-i", "--http2", "--max-time", "10", "--cacert", certificate.certificate,
          "https://\(network.serverAddress)\(Site.small)",
        ]).orThrow().output
        #expect(answer.hasPrefix("HTTP/2 200") && answer.contains("server: nginx"), "\(answer.prefix(300))")
        #expect(try nginx.log().last?.remoteAddress == network.serverAddress)
        for version in ["--http1.1", "--http2"] {
          let scratch = try ScratchDirectory("download")
          try network.client.run([
            "curl", "-sS", version, "--max-time", "20", "--limit-rate", "20M", "--cacert", certificate.certificate,
            "-o",
            scratch.path(of: "body"), "https://\(network.serverAddress)\(Site.large)",
          ]).orThrow()
          let isSame = try scratch.read("body") == Site.shared.body(Site.large)
          #expect(isSame, "\(version)")
        }
        // HTTP is the kernel part's, and nginx sees the client itself.
        try apus.warm([Site.small], over: network)
        expectFile(try RawClient(network, port: 80).get(Site.small + "?q"), Site.small)
        #expect(try nginx.log().last?.remoteAddress == network.clientAddress)
      }
    }

    @Test func `a backend in user mode answers every request, by the proxy`() throws {
      try TestNetwork.withLoopbackUnprivileged { network in
        let nginx = try NginxServer(in: network, port: 8081, root: Site.shared.root)
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, port: 8080, mode: "user", backendPort: 8081)
        let client = try RawClient(network, port: 8080)
        for path in [Site.small, Site.large, Site.empty] { expectFile(try client.get(path), path) }
        #expect(try client.get(Site.small)["server"]?.hasPrefix("nginx") == true)
        try client.send("PUT /uploads/x HTTP/1.1\r\nHost: apus.test\r\nContent-Length: 3\r\n\r\nabc")
        #expect(try client.readResponse().status == 201)
        #expect(try nginx.upload("x") == Array("abc".utf8))
        #expect(Set(try nginx.log().map(\.connection)).count == 1, "one kept connection carried them all")
        // It goes away, and comes back.
        nginx.kill()
        #expect(try client.get(Site.small).status == 502)
        _ = try NginxServer(in: network, port: 8081, root: Site.shared.root)
        #expect(try eventually(timeout_s: 5) { try client.get(Site.small).status == 200 })
        #expect(apus.process.poll() == nil)
        for tool in ["ab", "wrk"] {
          let result =
            tool == "ab"
            ? try network.client.ab("http://\(network.serverAddress):8080\(Site.small)", requests: 1000, concurrency: 8)
            : try network.client.wrk("http://\(network.serverAddress):8080\(Site.small)", connections: 8, duration_s: 1)
          #expect(result.failures == 0 && result.requests > 100, "\(result.output)")
        }
      }
    }
  }
}
