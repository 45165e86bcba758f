import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// Programs that people use load a whole site, in kernel mode and in user mode, over HTTP and over HTTPS.
  @Suite(.kernelMode) struct Clients {
    /// How a site is served, and to be asked for.
    struct Way: CustomTestStringConvertible, Sendable {
      var mode: String
      var scheme: String
      var testDescription: String { "\(mode) mode, \(scheme)" }

      static let all = ["kernel", "user"].flatMap { mode in
        ["http", "https"].map { Way(mode: mode, scheme: $0) }
      }
    }

    /// The site served in a way, with what a client needs.
    struct Served {
      let network: TestNetwork
      let apus: ApusProcess
      let certificate: String
      let origin: String
      let scratch: ScratchDirectory

      func file(_ path: String) -> String { ClientSite.shared.root + path }

      /// Whether a file that was loaded is the site's, byte by byte.
      func isSame(_ loaded: String, _ path: String) throws -> Bool {
        try CommandResult.run(["cmp", loaded, file(path)]).succeeded
      }
    }

    static func serve(_ way: Way, warm: Bool = true, _ body: (Served) throws -> Void) throws {
      let site = ClientSite.shared
      try TestNetwork.withVeth { network in
        let certificate = try TestCertificate(for: ["apus.test"], address: network.serverAddress)
        let apus = try ApusProcess(
          in: network, root: site.root, mode: way.mode,
          arguments: [
            "--listing", "--tls", "\(network.serverAddress):443", "--certificate", certificate.certificate, "--key",
            certificate.key,
          ])
        let inKernel = way.mode == "kernel" && way.scheme == "http"
        if inKernel && warm { try apus.warm(["/"] + site.smallPaths, over: network) }
        let hits = try apus.status().hits
        try body(
          Served(
            network: network, apus: apus, certificate: certificate.certificate,
            origin: "\(way.scheme)://\(network.serverAddress)", scratch: ScratchDirectory("loaded")))
        if inKernel { #expect(try apus.status().hits > hits, "the kernel part had its share") }
        #expect(apus.process.poll() == nil, "apus ended: \(apus.process.transcript)")
      }
    }

    @Test(.programs("curl", "cmp"), arguments: Way.all)
    func `curl loads the site, and resumes a download`(_ way: Way) throws {
      try Self.serve(way) { served in
        let options = ["curl", "-sS", "--fail", "--max-time", "60", "--cacert", served.certificate]
        let site = ClientSite.shared
        let command =
          options + ["--parallel", "--parallel-max", "6", "--create-dirs"]
          + site.paths.flatMap { [served.origin + $0, "-o", served.scratch.path(of: "site") + $0] }
        try served.network.client.run(command).orThrow()
        for path in site.paths { #expect(try served.isSame(served.scratch.path(of: "site") + path, path), "\(path)") }

        let loaded = served.scratch.path(of: "download")
        for part in [["--range", "0-70000000"], ["-C", "-"]] {
          try served.network.client.run(
            options + part + ["-o", loaded, served.origin + ClientSite.download], timeout_s: 90
          ).orThrow()
        }
        #expect(try served.isSame(loaded, ClientSite.download))
      }
    }

    @Test(.programs("wget", "cmp"), arguments: Way.all)
    func `wget follows all links, and continues a download it was killed in`(_ way: Way) throws {
      try Self.serve(way) { served in
        let options = ["wget", "--no-verbose", "--tries=1", "--timeout=20", "--ca-certificate", served.certificate]
        try served.network.client.run(
          options + [
            "--recursive", "--page-requisites", "--no-parent", "--no-host-directories", "--exclude-directories=/files",
            "--directory-prefix", served.scratch.path(of: "site"), served.origin + "/",
          ]
        ).orThrow()
        // wget does not read scripts.
        for path in ClientSite.shared.paths {
          #expect(try served.isSame(served.scratch.path(of: "site") + path, path), "\(path)")
        }

        let loaded = served.scratch.path(of: "download")
        let command = options + ["-O", loaded, served.origin + ClientSite.download]
        func size() -> Int { (try? FileManager.default.attributesOfItem(atPath: loaded)[.size] as? Int) ?? 0 }
        let first = try served.network.client.start(command + ["--limit-rate=100m"])
        #expect(eventually(timeout_s: 20, every: 0.01) { size() > 20_000_000 })
        first.kill()
        let part = size()
        #expect(part < ClientSite.downloadBytes)
        // -c with -O appends (wget's manual: the file is not truncated then).
        try served.network.client.run(command + ["-c"], timeout_s: 90).orThrow()
        #expect(try served.isSame(loaded, ClientSite.download))
      }
    }

    @Test(.pythonPackages, arguments: ["requests", "httpx"], Way.all)
    func `Python's clients load the site, validate their copies, and resume a download`(
      library: String, _ way: Way
    ) throws {
      try Self.serve(way) { served in
        let result = try served.network.client.run(
          [
            PythonPackages.interpreter, "-c", ClientPrograms.python, library, served.origin, served.certificate,
            ClientSite.shared.root, ClientSite.download,
          ] + ClientSite.shared.paths, timeout_s: 90
        ).orThrow()
        let version = library == "httpx" && way.scheme == "https" ? "HTTP/2" : "HTTP/1.1"
        #expect(result.output == "all as they are, \(version)\n", "\(result.output)")
      }
    }

    @Test(.programs("h2load"), arguments: Way.all)
    func `h2load loads all of the site many times`(_ way: Way) throws {
      try Self.serve(way) { served in
        let list = served.scratch.path(of: "list")
        let urls = ClientSite.shared.paths.map { served.origin + $0 + "\n" }.joined()
        try served.scratch.write(urls.utf8, to: "list")
        // h2load speaks HTTP/1.1 in the clear only if told to.
        let command = ["h2load", "-n", "1200", "-c", "6", "-m", way.scheme == "https" ? "8" : "1", "-i", list]
        let output = try served.network.client.run(command + (way.scheme == "http" ? ["--h1"] : [])).orThrow().output
        #expect(output.contains("1200 succeeded, 0 failed, 0 errored, 0 timeout"), "\(output)")
        #expect(output.contains("status codes: 1200 2xx, 0 3xx, 0 4xx, 0 5xx"), "\(output)")
      }
    }

    @Test(.programs("chromium"), arguments: Way.all)
    func `Chromium shows the site with its pictures, font, style, script, frames and listing`(_ way: Way) throws {
      try #require(FileManager.default.fileExists(atPath: ClientSite.font), "Scripts/test installs fonts-dejavu-core")
      try Self.serve(way) { served in
        // A link-local address that becomes valid, a second or two after its device came up, is a change of network
        // to Chromium, and ends its requests with ERR_NETWORK_CHANGED.
        try served.network.client.set("ipv6/conf/all/disable_ipv6", to: "1")
        var verdict = ""
        var log = ""
        // Chromium's patience is in a time of its own, which on a busy machine may end before the page's script does.
        for attempt in 1...3 where verdict.isEmpty || verdict == "nothing yet" {
          let result = try served.network.client.run(
            [
              "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
              "--disable-background-networking", "--disable-component-update",
              "--enable-logging=stderr",
              "--user-data-dir=\(served.scratch.path(of: "profile-\(attempt)"))", "--ignore-certificate-errors",
              "--virtual-time-budget=120000", "--dump-dom", served.origin + "/",
            ], timeout_s: 60)
          let begin = try #require(result.output.range(of: "<p id=\"verdict\">"), "\(result.error)")
          log = result.error.split(separator: "\n").filter { $0.contains("CONSOLE") }.joined(separator: "\n")
          verdict = String(result.output[begin.upperBound...].prefix { $0 != "<" })
        }
        // Frames, pictures, style, script, font, data, range and 404, and what the frames load themselves.
        let protocolName = way.scheme == "https" ? "h2" : "http/1.1"
        #expect(verdict.hasPrefix("all ") && verdict.hasSuffix(" over \(protocolName)"), "\(verdict)\n\(log)")
        let count = verdict.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        #expect(count >= ClientSite.shared.paths.count, "\(verdict)")
      }
    }
  }
}
