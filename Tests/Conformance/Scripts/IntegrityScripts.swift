import KernelTestSupport

extension Exchange {
  /// Packets that are wrong, or are none of ours.
  static let integrity: [Exchange] = [
    Exchange("a SYN with a wrong checksum is dropped", "RFC 9293 section 3.1") {
      client.offers(.mss(1460)) { $0.tcpChecksumError = 1 }
      server.isSilent()
    },
    Exchange("a request with a wrong checksum is dropped", "RFC 9293 section 3.1") {
      client.connects()
      client.sends([.psh, .ack], get("/small")) { $0.tcpChecksumError = 0x0100 }
      server.isSilent()
      client.requests("/small", seq: .request)
      server.answers("/small")
    },
    Exchange("a request again with a wrong checksum is dropped", "RFC 9293 section 3.1") {
      client.connects()
      client.requests("/small")
      server.answers("/small", isLost: true)
      client.sends([.psh, .ack], seq: .request, get("/small")) { $0.tcpChecksumError = 1 }
      server.isSilent()
      client.requests("/small", seq: .request)
      server.repeats("/small")
    },
    Exchange("a RST with a wrong checksum ends nothing", "RFC 9293 section 3.1") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.sends(.rst) { $0.tcpChecksumError = 1 }
      server.isSilent()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("a FIN with a wrong checksum closes nothing", "RFC 9293 section 3.1") {
      client.connects()
      client.sends([.fin, .ack], seq: .next) { $0.tcpChecksumError = 1 }
      server.isSilent()
      client.requests("/small", seq: .next - 1)
      server.answers("/small", ack: .next - 1 + get("/small").count)
    },
    Exchange("a datagram with a wrong checksum is dropped", "RFC 1122 section 3.2.1.2", family: .ipv4) {
      client.connects()
      client.sends([.psh, .ack], get("/small")) { $0.ipChecksumError = 1 }
      server.isSilent()
      client.requests("/small", seq: .request)
      server.answers("/small")
    },
    Exchange("a datagram longer than its frame is dropped", "RFC 1122 section 3.2.1") {
      client.connects()
      client.sends([.psh, .ack], get("/small")) { $0.totalLengthError = 8 }
      server.isSilent()
      client.requests("/small", seq: .request)
      server.answers("/small")
    },
    Exchange("bytes behind the datagram are not data", "RFC 894") {
      client.offers(.mss(1460)) { $0.padding = [1, 2] }
      server.accepts(.mss(1460))
      client.sends(.ack) { $0.padding = [UInt8](repeating: 0x47, count: 6) }
      client.sends([.psh, .ack], get("/small")) { $0.padding = Array("GET".utf8) }
      server.answers("/small")
    },
    Exchange("a fragment waits for the others", "RFC 791 section 3.2") {
      client.connects()
      client.sends([.psh, .ack], get("/small")) { $0.fragment = 0x2000 }
      kernel.isSilent()
    },
    Exchange("a SYN with options of IP is the kernel's", "RFC 791 section 3.1") {
      client.offers(.mss(1460)) { $0.ipOptions = [1, 1, 1, 0] }
      kernel.accepts(.mss(1460))
    },
  ]

  /// Every script, by what it is about.
  public static let chapters: [(title: String, exchanges: [Exchange])] = [
    ("Opening", handshakes), ("What a SYN offers", offers), ("Timestamps, SACK and window scale", options),
    ("Requests", requests), ("Responses", responses), ("Responses of several segments", segments),
    ("Closing", closings), ("Blind attacks", attacks), ("Handing over", handovers),
    ("Handing over to a full accept queue", waitingHandovers), ("Wrong packets", integrity),
  ]
  public static var all: [Exchange] { chapters.flatMap(\.exchanges) }
}
