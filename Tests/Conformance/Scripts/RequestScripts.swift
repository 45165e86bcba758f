import KernelTestSupport

extension Exchange {
  /// Requests, and whatever else comes while none is being answered.
  static let requests: [Exchange] = [
    Exchange("a request is answered in one segment", "RFC 9293 section 3.10.7.4", cell: .at(.none, .request)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      server.isSilent()
    },
    Exchange("the next request is answered, too", "RFC 9293 section 3.10.7.4", cell: .at(.idle, .request)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange(
      "a request acknowledges the response before it", "RFC 9293 section 3.10.7.4", cell: .at(.answering, .request)
    ) {
      client.connects()
      for _ in 0..<20 {
        client.requests("/small")
        server.answers("/small")
        client.requests("/empty")
        server.answers("/empty")
      }
    },
    Exchange("an answer takes less than 5 ms", "RFC 9293 section 3.8.6.3") {
      client.connects()
      client.requests("/small")
      server.sends([.psh, .ack], .response(200, path: "/small"), within_ms: 5)
    },
    Exchange("a request without PSH is answered all the same", "RFC 9293 section 3.9.1.2") {
      client.connects()
      client.sends(.ack, get("/small"))
      server.answers("/small")
    },
    Exchange("ECN bits of an established connection change nothing", "RFC 3168 section 6.1") {
      client.connects()
      client.sends([.psh, .ack, .ece, .cwr], get("/small"))
      server.answers("/small")
    },
    Exchange("an acknowledgement in order needs no answer", "RFC 9293 section 3.10.7.4", cell: .at(.idle, .ack)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.acknowledges()
      client.sends(.ack, window: 0)
      server.isSilent()
    },
    Exchange("a keepalive probe is acknowledged", "RFC 9293 section 3.8.4", cell: .at(.idle, .older)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.acknowledges(seq: .next - 1)
      server.acknowledges()
      client.sends(.ack, seq: .next - 1, [0])
      server.acknowledges()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange(
      "a request that was answered and acknowledged is old", "RFC 9293 section 3.10.7.4", cell: .at(.idle, .older)
    ) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.requests("/small", seq: .request)
      server.acknowledges()
    },
    Exchange("data behind a gap waits for what is missing", "RFC 9293 section 3.10.7.4", cell: .at(.idle, .newer)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.requests("/other", seq: .next + 1)
      server.isSilent()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("a segment without ACK is dropped", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.sends(.psh, get("/other"), isLost: false)
      server.isSilent()
    },
    Exchange("old data behind the window's left edge is not taken twice", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.sends([.psh, .ack], seq: .next - 10, get("/small"))
      server.acknowledges()
      client.requests("/small")
      server.answers("/small")
    },
  ]

  /// A response is on its way, and may be lost. Nothing in the kernel part has a timer: the client's is the only one.
  static let responses: [Exchange] = [
    Exchange(
      "an acknowledgement of the response needs no answer", "RFC 9293 section 3.10.7.4", cell: .at(.answering, .ack)
    ) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      server.isSilent()
    },
    Exchange("a response is not sent again by itself", "RFC 6298 section 5") {
      client.connects()
      client.requests("/small")
      server.answers("/small", isLost: true)
      server.isSilent(for_ms: 1200)
      client.requests("/small", seq: .request)
      server.repeats("/small")
    },
    Exchange(
      "a request sent again is answered with the same bytes", "RFC 9293 section 3.8.1", cell: .at(.answering, .older)
    ) {
      client.connects()
      client.requests("/small")
      server.answers("/small", isLost: true)
      client.requests("/small", seq: .request)
      server.repeats("/small", isLost: true)
      client.requests("/small", seq: .request)
      server.repeats("/small")
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("the same bytes have the same Date", "RFC 9293 section 3.8.1") {
      client.connects()
      client.requests("/other")
      server.answers("/other", isLost: true)
      client.waits(ms: 1100)
      client.requests("/other", seq: .request)
      server.repeats("/other")
    },
    Exchange("a second response that is lost comes again from where it began", "RFC 9293 section 3.8.1") {
      client.connects()
      client.requests("/other")
      server.answers("/other")
      client.requests("/small")
      server.answers("/small", isLost: true)
      client.requests("/small", seq: .request)
      server.repeats("/small")
    },
    Exchange("a lost request is answered when it comes", "RFC 9293 section 3.8.1") {
      client.connects()
      client.requests("/small", isLost: true)
      server.isSilent()
      client.requests("/small", seq: .request)
      server.answers("/small")
    },
    Exchange("a request that was joined with the next one is answered again by itself", "RFC 9293 section 3.8.6.2") {
      client.connects()
      client.requests("/small")
      server.answers("/small", isLost: true)
      client.sends([.psh, .ack], seq: .request, get("/small") + get("/other"))
      server.repeats("/small")
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("a response whose object has changed since is repeated as it was", "RFC 9293 section 3.8.1") {
      client.connects()
      client.requests("/changing-1")
      server.answers("/changing-1", isLost: true)
      site.replaces("/changing-1")
      client.requests("/changing-1", seq: .request)
      server.repeats("/changing-1")
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("a client that has the response sees nothing of a change", "RFC 9293 section 3.8.1") {
      client.connects()
      client.requests("/changing-2")
      server.answers("/changing-2")
      site.replaces("/changing-2")
      client.acknowledges()
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("duplicate acknowledgements of a response on its way change nothing", "RFC 5681 section 3.2") {
      client.connects()
      client.requests("/small")
      server.answers("/small", isLost: true)
      for _ in 0..<4 { client.acknowledges() }
      server.isSilent()
      client.requests("/small", seq: .request)
      server.repeats("/small")
    },
    Exchange("a response that is acknowledged in part is repeated whole", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges(ack: .response + 50)
      server.isSilent()
      client.requests("/small", seq: .request, ack: .response)
      server.repeats("/small")
      client.requests("/other")
      server.answers("/other")
    },
    Exchange(
      "a request before the response is acknowledged waits", "RFC 9293 section 3.8.6.2", cell: .at(.answering, .request)
    ) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/other", ack: .response)
      server.isSilent()
      client.requests("/other", seq: .request)
      server.answers("/other")
    },
    Exchange(
      "data behind a gap waits while a response is on its way", "RFC 9293 section 3.10.7.4",
      cell: .at(.answering, .newer)
    ) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/other", seq: .next + 1)
      server.isSilent()
    },
    Exchange(
      "a probe of a client that lacks the response does not acknowledge its request", "RFC 9293 section 3.8.4",
      cell: .at(.answering, .older)
    ) {
      client.connects()
      client.requests("/small")
      server.answers("/small", isLost: true)
      client.acknowledges(seq: .next - 1)
      server.acknowledges(seq: .response, ack: .request)
      client.requests("/small", seq: .request)
      server.repeats("/small")
    },
    Exchange("a probe of a client that has the response is acknowledged", "RFC 9293 section 3.8.4") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges(seq: .next - 1)
      server.acknowledges()
    },
  ]
}
