import KernelTestSupport

extension Exchange {
  /// Both orders of closing (RFC 9293 section 3.6).
  static let closings: [Exchange] = [
    Exchange("a client may close without a request", "RFC 9293 section 3.6", cell: .at(.none, .fin)) {
      client.connects()
      client.closes()
      server.closes()
      client.acknowledges()
      server.isSilent()
    },
    Exchange("a client closes between requests", "RFC 9293 section 3.6", cell: .at(.idle, .fin)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.closes()
      server.closes()
      client.acknowledges()
      server.isSilent()
    },
    Exchange("a client's FIN acknowledges the response", "RFC 9293 section 3.6", cell: .at(.answering, .fin)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.closes()
      server.closes()
      client.acknowledges()
    },
    Exchange("a FIN before the response is acknowledged waits", "RFC 9293 section 3.6", cell: .at(.answering, .fin)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.closes(ack: .response)
      server.isSilent()
      client.closes(seq: .next - 1)
      server.closes()
    },
    Exchange("a FIN that comes with the request is answered with the response and ours", "RFC 9293 section 3.6") {
      client.connects()
      client.requests("/small", fin: true)
      server.answers("/small", fin: true)
      client.acknowledges()
      server.isSilent()
    },
    Exchange("our FIN comes with the response that ends the connection", "RFC 9112 section 9.6") {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.acknowledges()
      server.isSilent()
      client.closes()
      server.acknowledges()
    },
    Exchange("a request of HTTP/1.0 ends its connection", "RFC 9112 section 9.3") {
      client.connects()
      client.sends([.psh, .ack], head("GET /small HTTP/1.0"))
      server.answers("/small", fin: true)
      client.closes()
      server.acknowledges()
    },
    Exchange("the last acknowledgement ends what the client closed first", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.closes()
      server.closes()
      client.acknowledges()
      server.isSilent()
      client.acknowledges()
      kernel.resets(.rst)
    },
    Exchange("a FIN sent again is answered with ours again", "RFC 9293 section 3.10.7.4", cell: .at(.closing, .older)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.closes()
      server.closes(isLost: true)
      client.closes(seq: .next - 1)
      server.closes(isLost: true)
      client.closes(seq: .next - 1)
      server.closes()
      client.acknowledges()
    },
    Exchange("a FIN on the first segment sent again is answered again", "RFC 9293 section 3.10.7.4") {
      client.connects()
      client.closes()
      server.closes(isLost: true)
      client.closes(seq: .next - 1)
      server.closes()
    },
    Exchange(
      "a last response that is lost comes again with the FIN", "RFC 9293 section 3.8.1", cell: .at(.closing, .older)
    ) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true, isLost: true)
      client.requests("/small", "Connection: close", seq: .request)
      server.repeats("/small", fin: true)
      client.closes()
      server.acknowledges()
    },
    Exchange("a request with a FIN sent again is answered again", "RFC 9293 section 3.8.1") {
      client.connects()
      client.requests("/small", fin: true)
      server.answers("/small", fin: true, isLost: true)
      client.requests("/small", seq: .request, fin: true)
      server.repeats("/small", fin: true)
      client.acknowledges()
    },
    Exchange("an acknowledgement of our FIN needs no answer", "RFC 9293 section 3.10.7.4", cell: .at(.closing, .ack)) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.acknowledges(ack: .next - 1)
      client.acknowledges()
      server.isSilent()
    },
    Exchange("a client's FIN after ours is acknowledged", "RFC 9293 section 3.6", cell: .at(.closing, .fin)) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.closes()
      server.acknowledges()
      client.closes(seq: .next - 1)
      server.acknowledges()
    },
    Exchange(
      "a FIN that crosses ours is acknowledged when it acknowledges", "RFC 9293 section 3.6", cell: .at(.closing, .fin)
    ) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.closes(ack: .next - 1)
      server.isSilent()
      client.closes(seq: .next - 1)
      server.acknowledges()
    },
    Exchange("a request after our FIN is reset", "RFC 9293 section 3.6.1", cell: .at(.closing, .request)) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.acknowledges()
      client.requests("/other")
      server.resets()
    },
    Exchange(
      "a request that does not acknowledge our FIN waits", "RFC 9293 section 3.10.7.4", cell: .at(.closing, .request)
    ) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.requests("/other", ack: .next - 1)
      server.isSilent()
    },
    Exchange("old data after our FIN is acknowledged", "RFC 9293 section 3.10.7.4", cell: .at(.closing, .older)) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.acknowledges()
      client.acknowledges(seq: .next - 1)
      server.acknowledges()
    },
    Exchange("data behind a gap after our FIN is dropped", "RFC 9293 section 3.10.7.4", cell: .at(.closing, .newer)) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.acknowledges()
      client.requests("/small", seq: .next + 1)
      server.isSilent()
    },
    Exchange(
      "a newer SYN opens a new connection where the old one is over", "RFC 9293 section 3.10.7.4",
      cell: .at(.closing, .syn)
    ) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.closes()
      server.acknowledges()
      client.offers(.mss(1460), seq: .next + 5000)
      server.accepts(.mss(1460))
      client.requests("/other")
      server.answers("/other")
    },
    Exchange(
      "an older SYN opens nothing where the old connection is over", "RFC 6191 section 2", cell: .at(.closing, .syn)
    ) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.closes()
      server.acknowledges()
      client.offers(.mss(1460), seq: .next - 5000)
      server.acknowledges()
    },
  ]

  /// What an attacker may have sent who sees nothing of the connection (RFC 5961).
  static let attacks: [Exchange] = [
    Exchange("a SYN on a connection is challenged", "RFC 5961 section 4.2", cell: .at(.idle, .syn)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.offers(.mss(1460), seq: .next + 5000)
      server.acknowledges()
      client.offers(.mss(1460), seq: .next)
      server.acknowledges()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange(
      "a SYN while the response is on its way is challenged, the request not acknowledged", "RFC 5961 section 4.2",
      cell: .at(.answering, .syn)
    ) {
      client.connects()
      client.requests("/small")
      server.answers("/small", isLost: true)
      client.offers(.mss(1460), seq: .next + 5000)
      server.acknowledges(seq: .response, ack: .request)
      client.requests("/small", seq: .request)
      server.repeats("/small")
    },
    Exchange("a SYN after our FIN is challenged", "RFC 5961 section 4.2", cell: .at(.closing, .syn)) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.offers(.mss(1460), seq: .next + 5000)
      server.acknowledges(seq: .response, ack: .request)
      client.closes()
      server.acknowledges()
    },
    Exchange("a SYN-ACK on a connection is challenged", "RFC 5961 section 4.2") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.sends([.syn, .ack])
      server.acknowledges()
    },
    Exchange("a RST at RCV.NXT is believed", "RFC 5961 section 3.2", cell: .at(.idle, .rst)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.resets()
      server.isSilent()
      client.acknowledges()
      kernel.resets(.rst)
    },
    Exchange("a RST elsewhere in the window is challenged", "RFC 5961 section 3.2", cell: .at(.idle, .rst)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.resets(seq: .next + 1)
      server.acknowledges()
      client.resets(seq: .next + 64_239)
      server.acknowledges()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("a RST outside the window is ignored", "RFC 5961 section 3.2", cell: .at(.idle, .rst)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.resets(seq: .next + 64_240)
      client.resets(seq: .next - 1)
      client.sends([.rst, .ack], seq: .next - 30_000)
      server.isSilent()
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("a RST behind the request is believed", "RFC 5961 section 3.2", cell: .at(.answering, .rst)) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.resets()
      server.isSilent()
      client.acknowledges()
      kernel.resets(.rst)
    },
    Exchange(
      "a RST at the number we announced while the response was unseen is believed", "RFC 5961 section 3.2",
      cell: .at(.answering, .rst)
    ) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.resets(seq: .request)
      server.isSilent()
      client.acknowledges()
      kernel.resets(.rst)
    },
    Exchange(
      "a RST elsewhere while a response is on its way is challenged", "RFC 5961 section 3.2",
      cell: .at(.answering, .rst)
    ) {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.resets(seq: .next + 10)
      server.acknowledges(seq: .response, ack: .request)
      client.requests("/other")
      server.answers("/other")
    },
    Exchange("a RST after our FIN is believed", "RFC 5961 section 3.2", cell: .at(.closing, .rst)) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.resets()
      server.isSilent()
      client.acknowledges()
      kernel.resets(.rst)
    },
    Exchange("a RST elsewhere after our FIN is challenged", "RFC 5961 section 3.2", cell: .at(.closing, .rst)) {
      client.connects()
      client.requests("/small", "Connection: close")
      server.answers("/small", fin: true)
      client.acknowledges()
      client.sends([.rst, .ack], seq: .next + 10)
      server.acknowledges()
      client.closes()
      server.acknowledges()
    },
    Exchange("an acknowledgement of what was never sent is challenged", "RFC 5961 section 5.2") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.acknowledges(ack: .next + 1)
      server.acknowledges()
      client.requests("/other", ack: .next + 1000)
      server.acknowledges(ack: .request)
      client.requests("/other", seq: .next - get("/other").count)
      server.answers("/other")
    },
    Exchange("data with an acknowledgement long past is not taken", "RFC 5961 section 5.2") {
      client.connects()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      client.requests("/other", ack: .next - 100_000)
      server.isSilent()
    },
  ]
}
