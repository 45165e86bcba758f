import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// What was begun with one version of an object is finished with it, as long as its memory is not needed.
  ///
  /// The answer to a request is lost on its way, so the client's TCP sends the request again and again; meanwhile the
  /// file is replaced, and others are already answered with the new version.
  @Suite(.kernelMode) struct Generations {
    private static let old = Array(repeating: UInt8(ascii: "o"), count: 700)
    private static let new = Array(repeating: UInt8(ascii: "n"), count: 900)

    @Test func `a retransmission after a replacement is of the old version with its Date, what comes next of the new`()
      throws
    {
      let directory = try ScratchDirectory("generations")
      try directory.write(Self.old, to: "page.html")
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(in: network, root: directory.path)
        try apus.warm(["/page.html"], over: network)
        let client = try RawClient(network, timeout_s: 30)
        #expect(try client.get("/page.html").body == Self.old)
        try losingAnswers(to: client, network) {
          try client.send("GET /page.html HTTP/1.1\r\nHost: apus.test\r\n\r\n")
          let sent_s = Date().timeIntervalSince1970
          try replace(directory, apus, network)
          // Another second than that of the answer, so that its Date tells.
          pause(seconds: max(0, sent_s.rounded(.up) + 0.1 - Date().timeIntervalSince1970))
        }
        let answer = try client.readResponse()
        #expect(answer.body == Self.old, "the bytes that were lost, again")
        let fresh = try client.get("/page.html")
        #expect(fresh.body == Self.new)
        #expect(answer["date"] != fresh["date"], "the Date that was lost, again")
        #expect(try #require(apus.status().kernel?.retransmissions) > 0, "by the kernel part")
      }
    }

    @Test func `a retransmission whose version has gone for want of memory resets the connection`() throws {
      let directory = try ScratchDirectory("generations")
      try directory.write(Self.old, to: "page.html")
      let others = (0..<160).map { "/other-\($0).txt" }
      for other in others {
        try directory.write(Array(repeating: UInt8(ascii: "x"), count: 9000), to: String(other.dropFirst()))
      }
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(in: network, root: directory.path, arguments: ["--cache-size", "1M"])
        try apus.warm(["/page.html"], over: network)
        let client = try RawClient(network, timeout_s: 30)
        #expect(try client.get("/page.html").body == Self.old)
        try losingAnswers(to: client, network) {
          try client.send("GET /page.html HTTP/1.1\r\nHost: apus.test\r\n\r\n")
          try replace(directory, apus, network)
          // Old versions go before current ones do.
          let isFull = try eventually(timeout_s: 20) {
            for other in others { _ = try RawClient(network).get(other, fields: "Connection: close\r\n") }
            return try apus.status().cache.evictions ?? 0 > 0
          }
          #expect(isFull)
        }
        #expect(throws: (any Error).self) { try client.readResponse() }
        #expect(try RawClient(network).get("/page.html").body == Self.new)
      }
    }

    /// Runs a closure while what the server sends on the connection does not arrive.
    private func losingAnswers(to client: RawClient, _ network: TestNetwork, _ body: () throws -> Void) throws {
      let rules = """
        add table ip loss
        add chain ip loss input { type filter hook input priority 0; }
        add rule ip loss input tcp dport \(client.localPort) drop
        """
      try network.client.run(["nft", rules]).orThrow()
      try body()
      try network.client.run(["nft", "delete table ip loss"]).orThrow()
    }

    /// Replaces the page and waits until others are answered with the new one by the kernel part.
    private func replace(_ directory: ScratchDirectory, _ apus: ApusProcess, _ network: TestNetwork) throws {
      // The lost answer must have been made.
      pause(seconds: 0.05)
      try directory.replace("page.html", with: Self.new)
      pause(seconds: 0.1)
      try apus.warm(["/page.html"], over: network)
      #expect(try RawClient(network).get("/page.html").body == Self.new)
    }
  }
}
