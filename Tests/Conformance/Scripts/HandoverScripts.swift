import KernelTestSupport

extension Exchange {
  /// Connections that are given to the server behind, with the request as its first data.
  static let handovers: [Exchange] = [
    Exchange("a first request the kernel part does not answer", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.requests("/small")
      kernel.serves("/small")
    },
    Exchange("a later request the kernel part does not answer", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.requests("/small")
      kernel.serves("/small")
    },
    Exchange("100,000 bytes come in order", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/large")
      kernel.serves("/large")
    },
    Exchange("two requests in one segment are both answered", "RFC 9112 section 9.3.2") {
      client.connects()
      client.sends([.psh, .ack], get("/small") + get("/other"))
      kernel.serves("/small")
      kernel.serves("/other")
    },
    Exchange("a request in two segments is answered once", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.sends([.psh, .ack], Array(get("/small").prefix(20)))
      kernel.acknowledges()
      client.sends([.psh, .ack], Array(get("/small").dropFirst(20)))
      kernel.serves("/small")
    },
    Exchange("a request that starts with the bytes of an older one", "RFC 9112 section 9.3.2") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.sends([.psh, .ack], get("/small") + get("/other"))
      kernel.serves("/small")
      kernel.serves("/other")
    },
    Exchange("urgent data is the server's behind", "RFC 9293 section 3.8.5") {
      client.connects()
      client.sends([.psh, .ack, .urg], get("/small")) { $0.urgentPointer = 0xffff }
      kernel.serves("/small")
    },
    Exchange("options nobody agreed on are the kernel's", "RFC 9293 section 3.1") {
      client.connects()
      client.sends([.psh, .ack], options: [.raw([253, 4, 1, 2])], get("/small"))
      kernel.serves("/small")
    },
    Exchange("a window that is too small for the response is respected", "RFC 9293 section 3.8.6") {
      client.connects()
      client.requests("/other", window: 100)
      kernel.serves("/other")
    },
    Exchange("a closed window is respected", "RFC 9293 section 3.8.6.1") {
      client.connects()
      client.requests("/small", window: 0)
      kernel.acknowledges()
      client.acknowledges()
      kernel.serves("/small")
    },
    Exchange(
      "the data of the kernel's segments keeps to the client's MSS", "RFC 9293 section 3.7.1", family: .ipv4
    ) {
      client.connects(.mss(536))
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
    },
    Exchange("a request of another method", "RFC 9110 section 9.1") {
      client.connects()
      client.sends([.psh, .ack], head("DELETE /small HTTP/1.1"))
      kernel.serves("/small", status: 405)
    },
    Exchange("a malformed request", "RFC 9112 section 3") {
      client.connects()
      client.sends([.psh, .ack], head("GET  /small HTTP/1.1"))
      kernel.serves("/small", status: 400, fin: true)
    },
    Exchange("a SYN is the new owner's to challenge", "RFC 5961 section 4.2", cell: .at(.handedOver, .syn)) {
      client.connects()
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.offers(.mss(1460), seq: .next + 5000)
      kernel.acknowledges()
    },
    Exchange("an acknowledgement is the new owner's", "RFC 9293 section 3.10.7.4", cell: .at(.handedOver, .ack)) {
      client.connects()
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.acknowledges()
      kernel.isSilent()
    },
    Exchange("the next request is the new owner's", "RFC 9293 section 3.10.7.4", cell: .at(.handedOver, .request)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.requests("/other")
      kernel.serves("/other")
    },
    Exchange(
      "older data is the new owner's to acknowledge", "RFC 9293 section 3.10.7.4", cell: .at(.handedOver, .older)
    ) {
      client.connects()
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.requests("/none?q", seq: .request)
      kernel.acknowledges()
    },
    Exchange("newer data is the new owner's to keep", "RFC 9293 section 3.10.7.4", cell: .at(.handedOver, .newer)) {
      client.connects()
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.sends([.psh, .ack], seq: .next + 10, Array(get("/small").dropFirst(10)))
      kernel.acknowledges()
      client.sends(.ack, Array(get("/small").prefix(10)))
      kernel.serves("/small")
    },
    Exchange("a FIN is the new owner's", "RFC 9293 section 3.6", cell: .at(.handedOver, .fin)) {
      client.connects()
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.closes()
      kernel.closes()
      client.acknowledges()
    },
    Exchange("a RST ends the new owner's connection", "RFC 5961 section 3.2", cell: .at(.handedOver, .rst)) {
      client.connects()
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.resets()
      kernel.isSilent()
      client.acknowledges()
      kernel.resets(.rst)
    },
    Exchange("a new connection from the port of one that was handed over and reset", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.resets()
      client.offers(.mss(1460), seq: .next + 5000)
      server.accepts(.mss(1460))
      client.requests("/small")
      server.answers("/small")
    },
  ]

  /// The same with a listener behind whose accept queue is full: the connection is given away, and nobody there yet.
  static let waitingHandovers: [Exchange] = [
    Exchange(
      "a request to a full accept queue is given again when it comes again", "RFC 9293 section 3.8.1",
      cell: .at(.handedOver, .request)
    ) {
      listener.isFull()
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      server.isSilent()
      client.requests("/none?q", seq: .request)
      server.isSilent()
      listener.accepts()
      client.requests("/none?q", seq: .request)
      kernel.serves("/none?q", status: 404)
      client.requests("/other")
      kernel.serves("/other")
    },
    Exchange("a first request to a full accept queue is given again when it comes again", "RFC 9293 section 3.8.1") {
      listener.isFull()
      client.connects()
      client.requests("/none?q")
      server.isSilent()
      listener.accepts()
      client.requests("/none?q", seq: .request)
      kernel.serves("/none?q", status: 404)
    },
    Exchange(
      "a SYN before anybody has taken the connection opens a new one", "RFC 9293 section 3.10.7.4",
      cell: .at(.handedOver, .syn)
    ) {
      listener.isFull()
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      client.offers(.mss(1460), seq: .next + 5000)
      server.accepts(.mss(1460))
      client.requests("/other")
      server.answers("/other")
    },
    Exchange(
      "acknowledgements and old data wait until the connection is taken", "RFC 9293 section 3.10.7.4",
      cell: .at(.handedOver, .ack)
    ) {
      listener.isFull()
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      client.acknowledges()
      server.isSilent()
    },
    Exchange(
      "old data waits until the connection is taken", "RFC 9293 section 3.10.7.4", cell: .at(.handedOver, .older)
    ) {
      listener.isFull()
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      client.requests("/small", seq: 1)
      server.isSilent()
    },
    Exchange(
      "newer data waits until the connection is taken", "RFC 9293 section 3.10.7.4", cell: .at(.handedOver, .newer)
    ) {
      listener.isFull()
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      client.requests("/other")
      server.isSilent()
      listener.accepts()
      client.requests("/none?q", seq: .request - get("/none?q").count)
      kernel.serves("/none?q", status: 404)
      client.requests("/other", seq: .request)
      kernel.serves("/other")
    },
    Exchange("a FIN waits until the connection is taken", "RFC 9293 section 3.6", cell: .at(.handedOver, .fin)) {
      listener.isFull()
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      client.closes()
      server.isSilent()
    },
    Exchange(
      "a RST at RCV.NXT ends a connection nobody has taken", "RFC 5961 section 3.2", cell: .at(.handedOver, .rst)
    ) {
      listener.isFull()
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      client.resets(seq: .request)
      server.isSilent()
      client.acknowledges(seq: .request)
      kernel.resets(.rst)
    },
    Exchange("a RST elsewhere ends nothing that nobody has taken", "RFC 5961 section 3.2", cell: .at(.handedOver, .rst))
    {
      listener.isFull()
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      client.resets(seq: .request + 1)
      server.isSilent()
      listener.accepts()
      client.requests("/none?q", seq: .request)
      kernel.serves("/none?q", status: 404)
    },
    Exchange("a hit needs nobody behind", "RFC 9293 section 3.10.7.4") {
      listener.isFull()
      client.connects()
      for _ in 0..<5 {
        client.requests("/other")
        server.answers("/other")
      }
      client.closes()
      server.closes()
    },
  ]
}
