import KernelTestSupport

extension Exchange {
  /// Options that are agreed on in the handshake and hold for the rest of the connection.
  static let options: [Exchange] = [
    Exchange("all that Linux offers is agreed on", "RFC 7323 section 1.3") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.requests("/other")
      server.answers("/other")
      client.closes()
      server.closes()
      client.acknowledges()
    },
    Exchange("all that Apple's systems offer is agreed on", "RFC 7323 section 1.3") {
      client.connects(.apple)
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("of what Windows offers the MSS is agreed on", "RFC 7323 section 2.2") {
      client.connects(.windows)
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("timestamps alone are agreed on", "RFC 7323 section 3.2") {
      client.connects(Offer(mss: 1460, timestamps: true))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("timestamps and SACK are agreed on without a window scale", "RFC 7323 section 2.2") {
      client.connects(Offer(mss: 1460, sack: true, timestamps: true))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("timestamps and a window scale are agreed on without SACK", "RFC 2018 section 2") {
      client.connects(Offer(mss: 1460, timestamps: true, windowScale: 0))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("a client that names no MSS gets no other options", "RFC 7323 section 2.2") {
      client.connects(Offer(sack: true, timestamps: true, windowScale: 7))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("a shift count above 14 is taken for 14", "RFC 7323 section 2.3") {
      client.connects(Offer(mss: 1460, timestamps: true, windowScale: 15))
      client.requests("/small", window: 1)
      server.answers("/small")
    },
    Exchange("a scaled window has room for a response", "RFC 7323 section 2.3") {
      client.connects(.linux)
      client.requests("/small", window: 8)
      server.answers("/small")
    },
    Exchange("a scaled window too small for a response is respected", "RFC 7323 section 2.3") {
      client.connects(.linux)
      client.requests("/small", window: 1)
      kernel.serves("/small")
    },
    Exchange("a keepalive probe is acknowledged with its timestamp", "RFC 7323 section 4.3") {
      client.connects(.linux)
      client.acknowledges(seq: .next - 1)
      server.acknowledges()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.acknowledges(seq: .next - 1)
      server.acknowledges()
    },
    Exchange("the answer to a request sent again echoes its new timestamp", "RFC 7323 section 4.3") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small", isLost: true)
      client.waits(ms: 40)
      client.requests("/small", seq: .request)
      server.repeats("/small")
    },
    Exchange("a request from the past is acknowledged and dropped", "RFC 7323 section 5.3") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.sends([.psh, .ack], timestamp: .shifted(-1000), get("/other"))
      server.acknowledges(ack: .request)
      client.requests("/other", seq: .request)
      server.answers("/other")
    },
    Exchange("a FIN from the past is acknowledged and dropped", "RFC 7323 section 5.3") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.sends([.fin, .ack], timestamp: .shifted(-1000))
      server.acknowledges(ack: .next - 1)
      client.requests("/other", seq: .next - 1)
      server.answers("/other", ack: .next + get("/other").count - 1)
    },
    Exchange("an acknowledgement from the past changes nothing", "RFC 7323 section 5.3") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.sends(.ack, timestamp: .shifted(-1000))
      server.isSilent()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("a timestamp that is repeated is not from the past", "RFC 7323 section 5.3") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.sends([.psh, .ack], timestamp: .shifted(-10), get("/other"))
      server.answers("/other")
    },
    Exchange("a client's clock may wrap around", "RFC 7323 section 5.3") {
      client.connects(.linux, clock: 0xffff_ffe0)
      for _ in 0..<5 {
        client.requests("/small")
        server.answers("/small")
      }
    },
    Exchange("a client's clock may change its sign", "RFC 7323 section 5.3") {
      client.connects(.linux, clock: 0x7fff_ffe0)
      for _ in 0..<5 {
        client.requests("/small")
        server.answers("/small")
      }
    },
    Exchange("a segment without the timestamps agreed on is dropped", "RFC 7323 section 3.2") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.sends([.psh, .ack], timestamp: .absent, get("/other"))
      server.isSilent()
      client.requests("/other", seq: .request)
      server.answers("/other")
    },
    Exchange("a RST needs no timestamps", "RFC 7323 section 3.2") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.resets()
      server.isSilent()
      client.acknowledges()
      kernel.resets(.rst)
    },
    Exchange("the timestamp of data behind a gap is not the one to echo", "RFC 7323 section 4.3") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.requests("/other", seq: .next + 10)
      server.isSilent()
      client.sends([.psh, .ack], timestamp: .shifted(-15), get("/other"))
      server.answers("/other")
    },
    Exchange("a SYN on a connection with timestamps is challenged with the last of them", "RFC 5961 section 4.2") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.offers(.linux, seq: .next + 5000)
      server.acknowledges()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("a RST elsewhere in the window is challenged with timestamps", "RFC 5961 section 3.2") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.resets(seq: .next + 1)
      server.acknowledges()
    },
    Exchange("our last FIN has timestamps, too", "RFC 7323 section 3.2") {
      client.connects(.linux)
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.acknowledges()
      client.closes()
      server.acknowledges()
    },
    Exchange("a new connection may follow with a newer timestamp", "RFC 6191 section 2") {
      client.connects(.linux)
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.closes()
      server.acknowledges()
      client.offers(.linux, seq: .next + 5000)
      server.accepts(.linux)
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("the kernel goes on with our clock from the first request", "RFC 7323 section 5.4") {
      client.connects(.linux)
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.requests("/small")
      kernel.serves("/small")
    },
    Exchange("the kernel goes on with our clock from a later request", "RFC 7323 section 5.4") {
      client.connects(.linux)
      for _ in 0..<3 {
        client.requests("/small")
        server.answers("/small")
      }
      client.waits(ms: 300)
      client.requests("/large")
      kernel.serves("/large")
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
    },
    Exchange("the kernel goes on with SACK", "RFC 2018 section 4") {
      client.connects(.linux)
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.sends([.psh, .ack], seq: .next + 10, Array(get("/small").dropFirst(10)))
      kernel.acknowledgesSelectively()
      client.sends(.ack, Array(get("/small").prefix(10)))
      kernel.serves("/small")
    },
    Exchange("a request from the past is not the new owner's either", "RFC 7323 section 5.3") {
      client.connects(.linux)
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.sends([.psh, .ack], timestamp: .shifted(-2000), get("/small"))
      kernel.acknowledges(ack: .request)
      client.requests("/small", seq: .request)
      kernel.serves("/small")
    },
  ]
}
