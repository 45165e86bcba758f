import KernelTestSupport

extension Exchange {
  /// Nothing is stored of a connection before its first request: a cookie speaks for it.
  static let handshakes: [Exchange] = [
    Exchange("a SYN is answered with a SYN-ACK", "RFC 9293 section 3.5", cell: .at(.none, .syn)) {
      client.offers(.mss(1460))
      server.accepts(.mss(1460))
    },
    Exchange("a SYN sent again is answered twice, and any answer is good", "RFC 6298 section 5") {
      client.offers(.mss(1460))
      server.accepts(.mss(1460))
      client.offers(.mss(1460), seq: 0)
      server.accepts(.mss(1460))
      server.accepts(.mss(1460))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("the SYN-ACK is not sent again by itself", "RFC 4987 section 3.6") {
      client.offers(.mss(1460))
      server.accepts(.mss(1460))
      server.isSilent(for_ms: 1200)
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("the acknowledgement of a SYN-ACK needs no answer", "RFC 9293 section 3.5", cell: .at(.none, .ack)) {
      client.connects()
      server.isSilent()
    },
    Exchange("the first request completes a handshake whose last ACK was lost", "RFC 9293 section 3.5") {
      client.offers(.mss(1460))
      server.accepts(.mss(1460))
      client.sends(.ack, isLost: true)
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("initial sequence numbers wrap around in the SYN", "RFC 9293 section 3.4") {
      client.connects(start: 0xffff_ffff)
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("sequence numbers wrap around in the request", "RFC 9293 section 3.4") {
      client.connects(start: 0xffff_ffe8)
      client.requests("/small")
      server.answers("/small")
      client.requests("/other")
      server.answers("/other")
      client.closes()
      server.closes()
    },
    Exchange("sequence numbers change sign", "RFC 9293 section 3.4") {
      client.connects(start: 0x7fff_fff0)
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("a segment with neither SYN, ACK nor RST is ignored", "RFC 9293 section 3.10.7.2") {
      client.sends([])
      kernel.isSilent()
    },
    Exchange("a SYN with a FIN opens nothing", "RFC 9293 section 3.10.7.2") {
      client.offers(.mss(1460), [.syn, .fin])
      kernel.isSilent()
    },
    Exchange("a SYN with a RST is a RST", "RFC 9293 section 3.10.7.2", cell: .at(.none, .rst)) {
      client.offers(.mss(1460), [.syn, .rst])
      kernel.isSilent()
    },
    Exchange("a RST to no connection is ignored", "RFC 9293 section 3.10.7.1", cell: .at(.none, .rst)) {
      client.resets()
      kernel.isSilent()
      client.sends([.rst, .ack], ack: 7000)
      kernel.isSilent()
    },
    Exchange("an ACK that answers nothing of ours is reset", "RFC 9293 section 3.10.7.2", cell: .at(.none, .ack)) {
      client.sends(.ack, seq: 1, ack: 5000)
      kernel.resets(.rst, seq: 5000)
    },
    Exchange("data without a handshake is reset", "RFC 9293 section 3.10.7.2", cell: .at(.none, .request)) {
      client.requests("/small", seq: 1, ack: 5000)
      kernel.resets(.rst, seq: 5000)
    },
    Exchange("a FIN without a handshake is reset", "RFC 9293 section 3.10.7.2", cell: .at(.none, .fin)) {
      client.closes(seq: 1, ack: 5000)
      kernel.resets(.rst, seq: 5000)
    },
    Exchange("an acknowledgement guessed close to the right one is reset", "RFC 4987 section 3.6") {
      client.offers(.mss(1460))
      server.accepts(.mss(1460))
      client.requests("/small", ack: .next + 0x0400_0401)
      kernel.resets(.rst, seq: .next + 0x0400_0401)
    },
    Exchange("a SYN to a port that nobody listens on is reset", "RFC 9293 section 3.10.7.1") {
      client.offers(.mss(1460)) { $0.destination.port = 81 }
      kernel.resets(seq: 0, ack: 1)
    },
    Exchange(
      "data behind a lost first segment waits for it", "RFC 9293 section 3.10.7.4", cell: .at(.none, .newer)
    ) {
      client.connects()
      client.requests("/small", seq: .next + 100)
      server.isSilent()
      client.requests("/small")
      server.answers("/small")
    },
    Exchange(
      "data from before the first byte is not answered", "RFC 9293 section 3.10.7.4", cell: .at(.none, .older)
    ) {
      client.connects()
      client.sends([.psh, .ack], seq: .next - 20, [UInt8](repeating: 0x61, count: 10))
      server.isSilent()
      client.requests("/small")
      server.answers("/small")
    },
    Exchange(
      "a keepalive probe before the first request is acknowledged", "RFC 9293 section 3.8.4", cell: .at(.none, .older)
    ) {
      client.connects()
      client.acknowledges(seq: .next - 1)
      server.acknowledges()
      client.sends(.ack, seq: .next - 1, [0])
      server.acknowledges()
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("a cookie is good for a while", "RFC 4987 section 3.6") {
      client.connects()
      client.waits(ms: 1500)
      client.requests("/small")
      server.answers("/small")
    },
  ]

  /// What a SYN carries besides its number.
  static let offers: [Exchange] = [
    Exchange("a SYN without options is answered without options", "RFC 9293 section 3.7.1") {
      client.offers(.nothing)
      server.accepts(.nothing)
    },
    Exchange("an MSS is answered with no larger one", "RFC 9293 section 3.7.1") {
      client.offers(.mss(1220))
      server.accepts(.mss(1220))
    },
    Exchange("an MSS beyond the device's is answered with the device's", "RFC 9293 section 3.7.1") {
      client.offers(.mss(9000))
      server.accepts(.mss(9000))
      client.acknowledges()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("over IPv6 an MSS of 1220 is the smallest that is taken", "RFC 9293 section 3.7.1", family: .ipv6) {
      client.connects(.mss(1220))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("over IPv6 an MSS below 1220 is the kernel's", "RFC 8200 section 5", family: .ipv6) {
      client.offers(.mss(1219))
      kernel.accepts(.mss(1219))
    },
    Exchange("what has an extension header is the kernel's", "RFC 8200 section 4", family: .ipv6) {
      client.offers(.mss(1400)) { $0.ipOptions = [1] }
      kernel.accepts(.mss(1400))
    },
    Exchange("an MSS of 536 is taken", "RFC 9293 section 3.7.1", family: .ipv4) {
      client.connects(.mss(536))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("an MSS too small for a hand-over is the kernel's", "RFC 9293 section 3.7.1") {
      client.offers(.mss(400))
      kernel.accepts(.mss(400))
    },
    Exchange("the MSS may come behind other options", "RFC 9293 section 3.1") {
      client.offers(Offer(further: [.noOperation, .noOperation, .raw([253, 4, 1, 2]), .mss(1300)]))
      server.sends([.syn, .ack], options: [.mss(1300)])
    },
    Exchange("an option nobody knows is ignored", "RFC 9293 section 3.1") {
      client.connects(Offer(mss: 1460, further: [.raw([253, 8, 1, 2, 3, 4, 5, 6])]))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("forty bytes of options are read", "RFC 9293 section 3.1") {
      client.connects(Offer(mss: 1460, further: [.raw([253, 36] + [UInt8](repeating: 7, count: 34))]))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("an option of length 0 ends the options", "RFC 9293 section 3.1") {
      client.offers(Offer(further: [.raw([253, 0, 2, 4, 5, 180])]))
      server.accepts(.nothing)
    },
    Exchange("an option that is longer than the header is not read", "RFC 9293 section 3.1") {
      client.offers(Offer(further: [.raw([1, 1, 2, 40])]))
      server.accepts(.nothing)
    },
    Exchange("nothing is read behind the end of options", "RFC 9293 section 3.1") {
      client.offers(Offer(further: [.raw([0, 0, 0, 0, 2, 4, 5, 180])]))
      server.accepts(.nothing)
    },
    Exchange("a request for a Fast Open cookie is not answered with one", "RFC 7413 section 4.1.2") {
      client.connects(Offer(mss: 1460, further: [.raw([34, 2])]))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("data in a SYN is not acknowledged, and good when it comes again", "RFC 7413 section 3") {
      client.offers(.mss(1460), .syn, get("/small"))
      server.accepts(.mss(1460))
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("a SYN that offers ECN is accepted without", "RFC 3168 section 6.1.1") {
      client.offers(.mss(1460), [.syn, .ece, .cwr])
      server.accepts(.mss(1460))
      client.acknowledges()
      client.requests("/small")
      server.answers("/small")
    },
    Exchange("a SYN-ACK is no longer than its SYN", "RFC 4987 section 3.6") {
      client.offers(Offer(further: [.raw([3, 3, 7, 0])]))
      server.accepts(.nothing)
    },
  ]
}
