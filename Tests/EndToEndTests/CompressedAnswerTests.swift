import TestSupport
import Testing

extension EndToEnd {
  /// What a server behind compressed, and Apus repeats: never longer than what it was made from.
  @Suite(.kernelMode) struct CompressedAnswers {
    private static let gzip = "gzip on; gzip_types *; gzip_min_length 20;"

    private func withAttached(
      root: String, serverLines: String = gzip, _ arguments: [String], _ body: (Bench) throws -> Void
    ) throws {
      try TestNetwork.withVeth { network in
        let nginx = try NginxServer(in: network, port: 80, root: root, serverLines: serverLines)
        let apus = try ApusProcess(in: network, attachedTo: 80, arguments: arguments)
        try apus.warm(["/page.html"], over: network)
        try body(Bench(network: network, apus: apus, nginx: nginx, port: 80))
        #expect(apus.process.poll() == nil, "apus ended: \(apus.process.transcript)")
      }
    }

    /// A page whose length says its version, so that the end of what it is compressed to does, too.
    private func page(_ version: Int) -> [UInt8] { Array(repeating: UInt8(ascii: "a"), count: 700 + version) }

    private func get(_ bench: Bench) throws -> HTTPResponse {
      try bench.connect().get("/page.html", fields: "Accept-Encoding: gzip, deflate, br\r\n")
    }

    /// ISIZE, the length of what was compressed (RFC 1952 section 2.3.1), tells the version.
    private func version(_ answer: HTTPResponse) throws -> Int {
      try #require(answer.status == 200 && answer["content-encoding"] == "gzip")
      return answer.body.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) } - 700
    }

    @Test(arguments: [false, true])
    func `with a watched root a replaced file is answered in its new version within a second`(isStatic: Bool) throws {
      let directory = try ScratchDirectory("compressed")
      func write(_ number: Int) throws {
        try directory.replace("page.html", with: page(number))
        guard isStatic else { return }
        // What nginx compressed itself, so as to have it beside the file.
        let end = withUnsafeBytes(of: UInt32(700 + number).littleEndian) { Array($0) }
        try directory.replace("page.html.gz", with: Array("version \(number)".utf8) + end)
      }
      try write(0)
      pause(seconds: 0.5)
      let lines = isStatic ? "gzip_static on;" : Self.gzip
      try withAttached(root: directory.path, serverLines: lines, ["--root", directory.path]) { bench in
        let before = try bench.apus.status().hits
        for number in 1...4 {
          // The side-car alone changes the second time.
          if isStatic && number == 2 {
            let end = withUnsafeBytes(of: UInt32(700 + number).littleEndian) { Array($0) }
            try directory.replace("page.html.gz", with: Array("another".utf8) + end)
          } else {
            try write(number)
          }
          let replaced_s = monotonicSeconds()
          while monotonicSeconds() - replaced_s < 2.5 {
            let asked_s = monotonicSeconds()
            let seen = try version(try get(bench))
            if asked_s - replaced_s > 1 { try #require(seen == number, "the old version after a second") }
            pause(seconds: 0.002)
          }
        }
        let hits = try bench.apus.status().hits - before
        #expect(hits > 100, "\(hits) of the compressed answers came from the kernel cache")
      }
    }

    @Test(arguments: [["/page.html"], ["--all"]])
    func `what is purged is not answered again compressed`(arguments: [String]) throws {
      let directory = try ScratchDirectory("compressed")
      try directory.replace("page.html", with: page(0))
      pause(seconds: 1)
      try withAttached(root: directory.path, ["--ttl", "3600"]) { bench in
        for round in 1...5 {
          try directory.replace("page.html", with: page(round))
          let hits = try bench.apus.status().hits
          #expect(try version(try get(bench)) == round - 1, "nothing watches the file")
          #expect(try bench.apus.status().hits == hits + 1)
          let purge = try CommandResult.run(
            bench.network.server.command(
              [ApusProcess.binary, "purge"] + arguments + ["--admin", bench.apus.adminPath]))
          try purge.orThrow()
          #expect(try version(try get(bench)) == round)
          try bench.apus.warm(["/page.html"], over: bench.network)
        }
      }
    }
  }
}
