import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// slowhttptest's four ways to hold connections; others must not notice.
  @Suite(.kernelMode, .programs("slowhttptest")) struct SlowClients {
    /// Its options, and the target it asks for.
    private static let attacks = [
      ("slow heads", ["-H", "-i", "2"], "/index.html"),
      ("slow bodies", ["-B", "-i", "2"], "/index.html"),
      ("ranges", ["-R", "-a", "5", "-b", "3000"], "/pictures/256.png"),
      ("slow readers", ["-X", "-w", "1", "-y", "64", "-n", "2", "-z", "32", "-k", "3"], ClientSite.download),
    ]
    private static let connections = 200
    private static let duration_s = 15

    @Test(arguments: ["kernel", "user"])
    func `eight hundred slow connections leave the service to others, and are ended`(mode: String) throws {
      let site = ClientSite.shared
      let scratch = try ScratchDirectory("slow")
      try scratch.write("timeouts: {head: 5, write: 5, idle: 5}\n".utf8, to: "apus.yaml")
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(
          in: network, root: site.root, mode: mode, arguments: ["--config", scratch.path(of: "apus.yaml")])
        if mode == "kernel" { try apus.warm(["/style.css"], over: network) }
        let descriptors = try openDescriptors(apus)
        let running = try Self.attacks.map { name, options, target in
          let command =
            ["slowhttptest", "-c", "\(Self.connections)", "-r", "100", "-l", "\(Self.duration_s)", "-p", "3", "-u"]
            + ["http://\(network.serverAddress)\(target)"] + options
          return (name, try network.client.start(command))
        }

        // A hit, a miss of the kernel part, a large file: each on a connection of its own.
        var slowest_s = 0.0
        var requests = 0
        var most = 0
        let end_s = monotonicSeconds() + Double(Self.duration_s)
        while monotonicSeconds() < end_s {
          for path in ["/style.css", "/style.css?miss", "/pictures/256.png"] {
            let start_s = monotonicSeconds()
            let response = try RawClient(network, timeout_s: 5).get(path, fields: "Connection: close\r\n")
            slowest_s = max(slowest_s, monotonicSeconds() - start_s)
            #expect(response.status == 200)
            requests += 1
          }
          most = max(most, try openDescriptors(apus))
          pause(seconds: 0.1)
        }
        print("\(mode) mode: \(requests) requests beside slow clients, the slowest took \(Int(slowest_s * 1000)) ms")
        #expect(slowest_s < 2)
        #expect(most > descriptors + Self.connections, "the slow clients are there")
        for (name, process) in running {
          _ = try process.wait(timeout_s: 30)
          let report = process.standardOutput
          #expect(!report.contains("service available:   NO"), "\(name): \(report.suffix(800))")
          #expect(report.contains("Test ended on"), "\(name): \(report.suffix(800))")
        }
        #expect(try eventually(timeout_s: 10) { try openDescriptors(apus) < descriptors + 20 }, "all have ended")
      }
    }

    private func openDescriptors(_ apus: ApusProcess) throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/\(apus.process.pid)/fd").count
    }
  }
}
