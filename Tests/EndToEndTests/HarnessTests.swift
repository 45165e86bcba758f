import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// The tests' own tools, against nginx: what they report must be what happened.
  @Suite(.kernelMode) struct Harness {
    @Test func `a namespace goes away with all that runs in it`() throws {
      var namespace: NetworkNamespace? = try NetworkNamespace("gone")
      let name = try #require(namespace?.name)
      let process = try namespace!.start(["sleep", "1000"])
      #expect(try CommandResult.run(["ip", "netns", "list"]).output.contains(name))
      namespace = nil
      #expect(try process.wait(timeout_s: 5) == .signalled(SIGKILL))
      #expect(try !CommandResult.run(["ip", "netns", "list"]).output.contains(name))
    }

    @Test func `nginx logs the client's address, the connection and the request of it`() throws {
      try TestNetwork.withVeth { network in
        let nginx = try NginxServer(in: network, port: 8081, root: Site.shared.root)
        let client = try RawClient(network, port: 8081)
        for path in [Site.small, Site.large, Site.empty] { expectFile(try client.get(path), path) }
        try client.send("PUT /uploads/x HTTP/1.1\r\nHost: apus.test\r\nContent-Length: 3\r\n\r\nabc")
        #expect(try client.readResponse().status == 201)
        #expect(try nginx.upload("x") == Array("abc".utf8))
        let log = try nginx.log()
        #expect(log.map(\.requestOfConnection) == [1, 2, 3, 4])
        #expect(Set(log.map(\.connection)).count == 1)
        #expect(log.allSatisfy { $0.remoteAddress == "10.77.0.2" })
      }
    }

    @Test func `wrk and ab count requests and failures`() throws {
      try TestNetwork.withVeth { network in
        _ = try NginxServer(in: network, port: 80, root: Site.shared.root)
        let good = try network.client.ab("http://10.77.0.1/small.html", requests: 100, concurrency: 4)
        #expect(good.requests == 100 && good.failures == 0 && good.requestsPerSecond > 0)
        let bad = try network.client.ab("http://10.77.0.1/none", requests: 100, concurrency: 4)
        #expect(bad.failures == 100)
        let load = try network.client.wrk("http://10.77.0.1/small.html", connections: 4, duration_s: 1)
        #expect(load.requests > 100 && load.failures == 0 && load.requestsPerSecond > 0)
        let missing = try network.client.wrk("http://10.77.0.1/none", connections: 4, duration_s: 1)
        #expect(missing.failures == missing.requests)
      }
    }

    @Test func `loss is loss: packets are dropped on the way and their requests answered late`() throws {
      try TestNetwork.withLoss(percent: 2) { network in
        _ = try NginxServer(in: network, port: 80, root: Site.shared.root)
        let before = try network.lostPackets()
        let result = try network.client.ab("http://10.77.0.1/small.html", requests: 200, concurrency: 40)
        #expect(result.requests == 200 && result.failures == 0)
        // Some ten packets a request: 40 of 2000 on average.
        let lost = try network.lostPackets() - before
        #expect((5...150).contains(lost))
      }
    }
  }
}
