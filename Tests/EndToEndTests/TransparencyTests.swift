import KernelTestSupport
import TestSupport
import Testing

extension EndToEnd {
  /// What a client sees through `apus attach` is what the server says by itself, byte for byte, but for the values of
  /// Date and Expires, the Age a cache adds, and how many requests Apache has left on a connection: it counts those it
  /// has seen.
  @Suite(.kernelMode) struct Transparency {
    /// A document root with the files the requests ask for, all of them small enough for the kernel part.
    private static func makeSite() throws -> ScratchDirectory {
      let site = try ScratchDirectory("transparent")
      for (name, size) in [("index.html", 300), ("style.css", 120), ("static/app.js", 640), ("images/swift.png", 65)] {
        try site.write((0..<size).map { UInt8(ascii: "a") + UInt8($0 % 23) }, to: name)
      }
      pause(seconds: 1)
      return site
    }

    @Test(arguments: UnmodifiedServer.plain)
    func `a shared cache before an unmodified server`(server: UnmodifiedServer) throws {
      try compare(server) { _ in ["--ttl", "3600"] }
    }

    @Test(arguments: UnmodifiedServer.plain)
    func `before an unmodified server whose files are watched`(server: UnmodifiedServer) throws {
      try compare(server) { ["--root", $0] }
    }

    @Test(arguments: UnmodifiedServer.compressing)
    func `a shared cache before a server that compresses`(server: UnmodifiedServer) throws {
      try compare(server) { _ in ["--ttl", "3600"] }
    }

    @Test(arguments: UnmodifiedServer.compressing)
    func `before a server that compresses files that are watched`(server: UnmodifiedServer) throws {
      try compare(server) { ["--root", $0] }
    }

    private func compare(_ server: UnmodifiedServer, arguments: (String) -> [String]) throws {
      let site = try Self.makeSite()
      try TestNetwork.withVeth { network in
        _ = try server.start(in: network, root: site.path)
        let compresses = UnmodifiedServer.compressing.contains(server)
        let conversations = try Self.conversations(compresses: compresses, network)
        let requests = conversations.map(\.requests).reduce(0, +)
        #expect(requests >= 2000)
        // Ports of their own: a SYN whose four-tuple is in TIME-WAIT at the server is left to the server's kernel.
        try network.client.set("ipv4/ip_local_port_range", to: "'10000 29999'")
        let direct = try Conversation.hold(conversations, over: network)
        try network.client.set("ipv4/ip_local_port_range", to: "'30000 60999'")
        let apus = try ApusProcess(in: network, attachedTo: 80, arguments: arguments(site.path))
        try warm(apus, network, TransparencyRequests.objects + (compresses ? TransparencyRequests.negotiated : []))

        let before = try apus.status()
        let through = try Conversation.hold(conversations, over: network)
        let after = try apus.status()
        let differences = Self.differences(server, conversations, direct, through)
        let hits = after.hits - before.hits
        print(
          "transparency: \(server) \(arguments("ROOT").joined(separator: " ")): \(conversations.count) connections, "
            + "\(requests) requests, \(hits) answered in the kernel (\(hits * 100 / requests) %), "
            + "\(differences) differences (\(after.changes(since: before)))")
        #expect(differences == 0)
        let counted = [before, after].compactMap { $0.kernel?.notModified }
        #expect(counted.count == 2 && counted[1] > counted[0])
        #expect(hits * 10 > requests, "the kernel part took part: \(after.changes(since: before))")
        if compresses { try expectCodedHits(apus, network) }
        #expect(apus.process.poll() == nil, "apus ended: \(apus.process.transcript)")
      }
    }

    private static func conversations(compresses: Bool, _ network: TestNetwork) throws -> [Conversation] {
      let file = try RawClient(network).get("/style.css")
      let tag = try #require(file["etag"])
      let date = try #require(file["last-modified"])
      guard compresses else {
        return TransparencyRequests.all() + TransparencyRequests.conditional(tag: tag, date: date)
      }
      let coded = try RawClient(network).get("/style.css", fields: "Accept-Encoding: gzip\r\n")
      #expect(coded["content-encoding"] == "gzip")
      return TransparencyRequests.negotiating(tags: [tag, try #require(coded["etag"])], date: date)
        + TransparencyRequests.conditional(tag: tag, date: date)
    }

    /// Every value that is asked for often is answered in the kernel, and those that name gzip compressed.
    private func expectCodedHits(_ apus: ApusProcess, _ network: TestNetwork) throws {
      // Neither way was gone from these ports, so that none of them is in TIME-WAIT at the server.
      try network.client.set("ipv4/ip_local_port_range", to: "'61000 65535'")
      for value in TransparencyRequests.encodings {
        let before = try apus.status()
        let answer = try RawClient(network).get("/style.css", fields: "Accept-Encoding: \(value)\r\n")
        #expect((answer["content-encoding"] == "gzip") == value.contains("gzip"))
        let after = try apus.status()
        #expect(after.hits == before.hits + 1, "\(value): \(after.changes(since: before))")
      }
    }

    /// How many conversations went another way through Apus; the first of them are recorded.
    private static func differences(
      _ server: UnmodifiedServer, _ conversations: [Conversation], _ direct: [[UInt8]], _ through: [[UInt8]]
    ) -> Int {
      var differences = 0
      for (index, conversation) in conversations.enumerated() {
        let (expected, seen) = (comparable(direct[index]), comparable(through[index]))
        if expected == seen { continue }
        differences += 1
        if differences > 5 { continue }
        Issue.record(
          """
          \(server) says another thing through Apus.
          --- sent\n\(conversation.steps.map { String(decoding: $0.bytes, as: UTF8.self) }.joined(separator: "|"))
          --- direct\n\(String(decoding: expected, as: UTF8.self))
          --- through\n\(String(decoding: seen, as: UTF8.self))
          """)
      }
      return differences
    }

    /// Asks for everything until all of it is answered by the kernel part.
    private func warm(_ apus: ApusProcess, _ network: TestNetwork, _ requests: [[UInt8]]) throws {
      let conversations = requests.map { Conversation($0) }
      var report = ""
      let isWarm = try eventually(timeout_s: 20, every: 0.3) {
        let before = try apus.status()
        _ = try Conversation.hold(conversations, over: network)
        let after = try apus.status()
        report = after.changes(since: before)
        return after.hits - before.hits == conversations.count
      }
      guard isWarm else { throw SupportError("not everything is cached: \(report)\n\(apus.process.transcript)") }
    }

    /// What the server said without what may differ.
    private static func comparable(_ bytes: [UInt8]) -> [UInt8] {
      let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      let kept: [[UInt8]] = lines.compactMap { line in
        func begins(_ name: String) -> Bool { line.starts(with: name.utf8) && line.last == 13 }
        if begins("Age: ") { return nil }
        if begins("Date: ") { return Array("Date\r".utf8) }
        if begins("Expires: ") { return Array("Expires\r".utf8) }
        if begins("Keep-Alive: timeout="), let max = line.lastIndex(of: UInt8(ascii: "=")) {
          return Array(line[...max]) + [13]
        }
        return Array(line)
      }
      return Array(kept.joined(separator: [UInt8(ascii: "\n")]))
    }
  }
}
