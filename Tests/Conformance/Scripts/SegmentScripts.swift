import KernelTestSupport

extension Exchange {
  /// Responses of several segments. The client's timer is the only one: its request is not acknowledged before it has
  /// acknowledged the whole response.
  static let segments: [Exchange] = [
    Exchange("a response of two segments", "RFC 9293 section 3.7.1") {
      client.connects()
      client.requests("/two")
      server.answers("/two", in: 2)
      client.acknowledges()
      server.acknowledges()
      client.acknowledges()
      server.isSilent()
    },
    Exchange("a response of five segments, and another one", "RFC 6928 section 2") {
      client.connects()
      for _ in 0..<3 {
        client.requests("/five")
        server.answers("/five", in: 5)
        client.acknowledges()
        server.acknowledges()
      }
      client.closes()
      server.closes()
    },
    Exchange("a response of ten segments is sent at once", "RFC 6928 section 2") {
      client.connects()
      client.requests("/ten")
      server.answers("/ten", in: 10)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("a response of ten segments with timestamps", "RFC 6691 section 3") {
      client.connects(.linux)
      client.requests("/ten")
      server.answers("/ten", in: 10)
      client.acknowledges()
      server.acknowledges()
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("segments keep to the client's MSS", "RFC 9293 section 3.7.1", family: .ipv4) {
      client.connects(.mss(536))
      client.requests("/three")
      server.answers("/three", in: 3)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("an MSS in between", "RFC 9293 section 3.7.1") {
      client.connects(.mss(1220))
      client.requests("/five")
      server.answers("/five", in: 6)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("more than ten segments are not sent at once", "RFC 6928 section 2", family: .ipv4) {
      client.connects(.mss(536))
      client.requests("/ten")
      kernel.serves("/ten")
    },
    Exchange("no more is sent at once than the client's window takes", "RFC 9293 section 3.8.6") {
      client.connects()
      client.requests("/five", window: 3000)
      kernel.serves("/five")
    },
    Exchange("the request is acknowledged when the whole response is", "RFC 9293 section 3.8.6.3") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5)
      client.acknowledges(ack: .segment(3))
      client.acknowledges(ack: .segment(5))
      server.isSilent()
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("the next request acknowledges the whole response", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5)
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("a request before the whole response is acknowledged waits", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.requests("/two")
      server.answers("/two", in: 2)
      client.requests("/small", ack: .segment(2))
      server.isSilent()
      client.requests("/small", seq: .request)
      server.answers("/small")
    },
    Exchange(
      "a request sent again by a client that has all of the response is acknowledged", "RFC 9293 section 3.10.7.4"
    ) {
      client.connects()
      client.requests("/two")
      server.answers("/two", in: 2)
      client.requests("/two", seq: .request)
      server.acknowledges()
    },
    Exchange("the probe makes known that the last segment is lost", "RFC 8985 section 7") {
      client.connects()
      client.requests("/two")
      server.answers("/two", in: 2, losing: [2])
      client.acknowledges(ack: .segment(2))
      client.acknowledges(ack: .segment(2))
      server.resends(2)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("the third duplicate acknowledgement brings what is missing", "RFC 5681 section 3.2") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5, losing: [2])
      for _ in 0..<3 { client.acknowledges() }
      server.isSilent()
      client.acknowledges()
      server.resends(2)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("duplicates after a retransmission bring nothing more", "RFC 6582 section 3.2") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5, losing: [2])
      for _ in 0..<4 { client.acknowledges() }
      server.resends(2, isLost: true)
      for _ in 0..<4 { client.acknowledges() }
      server.isSilent()
    },
    Exchange("a partial acknowledgement brings the next missing segment", "RFC 6582 section 3.2") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5, losing: [2, 4])
      for _ in 0..<4 { client.acknowledges() }
      server.resends(2)
      client.acknowledges(ack: .segment(4))
      server.resends(4)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("one acknowledgement with a SACK block behind the gap is enough", "RFC 6675 section 5") {
      client.connects(.linux)
      client.requests("/five")
      server.answers("/five", in: 5, losing: [2])
      client.acknowledges(ack: .segment(2))
      server.isSilent()
      client.acknowledges(holding: 3...5)
      server.resends(2)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("with SACK an acknowledgement without a block is no duplicate", "RFC 6675 section 2") {
      client.connects(.linux)
      client.requests("/five")
      server.answers("/five", in: 5, losing: [2])
      for _ in 0..<6 { client.acknowledges() }
      server.isSilent()
    },
    Exchange("a window update is no duplicate", "RFC 5681 section 2") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5, losing: [2])
      client.acknowledges()
      client.sends(.ack, window: 60_000)
      client.sends(.ack, window: 61_000)
      client.sends(.ack, window: 62_000)
      client.sends(.ack, window: 63_000)
      server.isSilent()
    },
    Exchange("a response that is lost as a whole comes again, segment after segment", "RFC 5681 section 3.1") {
      client.connects()
      client.requests("/two")
      server.answers("/two", in: 2, losing: [1, 2], losingProbe: true)
      client.requests("/two", seq: .request)
      server.resends(1)
      client.acknowledges()
      server.resends(2)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("a client's time-out brings what it lacks, and no more", "RFC 6298 section 5.4") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5, losing: [3], losingProbe: true)
      client.requests("/five", seq: .request)
      server.resends(3)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("nothing is sent again by itself", "RFC 6298 section 5") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5, losing: [5], losingProbe: true)
      server.isSilent(for_ms: 1200)
      client.requests("/five", seq: .request)
      server.resends(5)
    },
    Exchange("after a time-out less is sent at once", "RFC 5681 section 3.1") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5, losing: [5], losingProbe: true)
      client.requests("/five", seq: .request)
      server.resends(5)
      client.acknowledges()
      server.acknowledges()
      client.requests("/small")
      server.answers("/small")
      client.requests("/ten")
      kernel.serves("/ten")
    },
    Exchange("our FIN is in the last segment of the last response", "RFC 9112 section 9.6") {
      client.connects()
      client.requests("/two", "Connection: close")
      server.answers("/two", in: 2, fin: true)
      client.closes()
      server.acknowledges()
    },
    Exchange("our FIN comes again with the last segment", "RFC 9293 section 3.8.1") {
      client.connects()
      client.requests("/two", "Connection: close")
      server.answers("/two", in: 2, losing: [2], fin: true, losingProbe: true)
      client.requests("/two", "Connection: close", seq: .request)
      server.resends(2, fin: true)
      client.closes()
      server.acknowledges()
    },
    Exchange("a RST in the middle of a response is believed", "RFC 5961 section 3.2") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5)
      client.resets(seq: .request)
      server.isSilent()
      client.acknowledges()
      kernel.resets(.rst)
    },
    Exchange("what is repeated of a response is of the same version", "RFC 9293 section 3.8.1") {
      client.connects()
      client.requests("/changing-3")
      server.answers("/changing-3", in: 3, losing: [2], losingProbe: true)
      site.replaces("/changing-3")
      client.requests("/changing-3", seq: .request)
      server.resends(2)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("an acknowledgement beyond the response is challenged", "RFC 5961 section 5.2") {
      client.connects()
      client.requests("/five")
      server.answers("/five", in: 5)
      client.acknowledges(ack: .next + 1)
      server.acknowledges(seq: .response, ack: .request)
      client.acknowledges()
      server.acknowledges()
    },
    Exchange("a request behind a response of several segments can be handed over", "RFC 9293 section 3.10.7.4") {
      client.connects(.linux)
      client.requests("/ten")
      server.answers("/ten", in: 10)
      client.acknowledges()
      server.acknowledges()
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
    },
  ]
}
