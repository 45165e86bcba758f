import Foundation
import TestSupport
import Testing

/// The examples over veth, with clients and servers behind that know nothing of them.
@Suite(.serialized, .kernelMode) struct ExampleTests {
  @Test("segments are echoed from the kernel, and the connection is closed", arguments: [false, true])
  func echo(ipv6: Bool) throws {
    try TestNetwork.withVeth(ipv6: ipv6) { network in
      try network.start(Programs.echoBehind, port: 7, "echo-server")
      let long = String(repeating: "Segment. ", count: 140)
      let lines = try network.runClient(Programs.client, port: 7, ["5", "Hello", "1", "x", "1260", long, "2", "ab"])
      #expect(lines == ["Hello", "x", long, "ab", "end: b''"])
    }
  }

  @Test("what is too much for the kernel's part the server behind echoes, on the same connection")
  func handOver() throws {
    try TestNetwork.withVeth { network in
      try network.start(Programs.echoBehind, port: 7, "echo-server")
      #expect(try network.runClient(Programs.bulkClient, port: 7) == ["300032 True"])
      // In the middle of a connection that the kernel part has answered on.
      let long = String(repeating: "Long ", count: 1000)
      let lines = try network.runClient(Programs.client, port: 7, ["5", "Hello", "5000", long, "2", "ab"])
      #expect(lines == ["Hello", String(repeating: "lONG ", count: 1000), "AB", "end: b''"])
    }
  }

  @Test("what is lost is sent again") func loss() throws {
    try TestNetwork.withLoss(percent: 10) { network in
      try network.start(Programs.echoBehind, port: 7, "echo-server")
      let words = (0..<40).map { "Word \($0)" }
      let lines = try network.runClient(Programs.client, port: 7, words.flatMap { ["\($0.utf8.count)", $0] })
      #expect(lines == words + ["end: b''"])
      #expect(try network.lostPackets() > 0)
    }
  }

  @Test("keys of the map are answered from the kernel, all else by the server behind")
  func keyValue() throws {
    try TestNetwork.withVeth { network in
      let tooLong = "big=" + String(repeating: "x", count: 600)
      try network.start(
        Programs.keyValueBehind, port: 6379, "keyvalue-server", ["greeting=hello", "a-key-of-20-letters.=v", tooLong])
      func get(_ key: String) -> String { #"*2\r\n$3\r\nGET\r\n$\#(key.utf8.count)\r\n\#(key)\r\n"# }
      let lines = try network.runClient(
        Programs.client, port: 6379,
        [
          "7", #"*1\r\n$4\r\nPING\r\n"#, "11", get("greeting"), "7", get("a-key-of-20-letters."), "11", get("greeting"),
          // From here the connection is the other server's.
          "12", get("unknown"), "12", get("greeting"),
        ])
      #expect(
        lines == [
          #"+PONG\r\n"#, #"$5\r\nhello\r\n"#, #"$1\r\nv\r\n"#, #"$5\r\nhello\r\n"#, #"+behind 26\r\n"#,
          #"+behind 27\r\n"#, "end: b''",
        ])
      for command in [get("big"), #"*1\r\n$8\r\nFLUSHALL\r\n"#, #"PING\r\n"#] {
        let answer = try network.runClient(Programs.client, port: 6379, ["11", command])
        #expect(answer.first?.hasPrefix("+behind ") == true, "\(command): \(answer)")
      }
    }
  }
}
