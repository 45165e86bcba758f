import BPFKernel
import Wire

/// Packets of connections nothing is stored for: the handshake, and what proves that it took place.
extension SocketServer {
  @inline(never) func begin() -> Step {
    let flags = segment.flags
    if flags.isOnly(TCPFlags.syn) { return .done(shakeHands()) }
    // A RST needs no answer, and a SYN with anything else is no handshake of a client.
    if flags.has(TCPFlags.rst) || flags.has(TCPFlags.syn) || !flags.has(TCPFlags.ack) { return .done(leave()) }
    let cookie = segment.acknowledgement &- 1
    let proof = cookieKeys.proof(of: segment.flow, in: cookie)
    switch proof.check(cookie, clientStart: segment.sequence &- 1) {
    case .wrong: return .done(leave())
    case .otherStart: return .done(missesStart(cookie, proof))
    case .right: return open(proof)
    }
  }

  /// SYN: answered with a cookie, or left to a listener of the kernel's.
  @inline(__always) private func shakeHands() -> Verdict {
    if let verdict = admit() { return verdict }
    if handshakeOptions & HandshakeOptions.cookies == 0 { return leaveHandshake() }
    guard isChecksumRight() else { return drop(.droppedChecksum) }
    switch Handover.hasSocket(packet, segment.flow) {
    case .connection: return leaveHandshake()
    case .listener: break
    case .none: if hasOwnListener { return leave() }
    }
    if !hasOwnListener && !hasListenerBehind { return leave() }
    let offered = segment.options.segmentSize
    let sizeMin = segment.isIPv6 ? TCPOption.segmentSizeDefaultIPv6 : TCPOption.segmentSizeDefault
    let size = segmentSize(offered == 0 ? sizeMin : offered)
    // The kernel takes no connection over whose segments are smaller (bpf_sk_assign_tcp_reqsk).
    if size < sizeMin { return leaveHandshake() }
    let proof = cookieKeys.proof(of: segment.flow, sizeIndex: SegmentSizes.index(of: size))
    var reply = Reply(
      sequence: proof.cookie(clientStart: segment.sequence), acknowledgement: segment.sequence &+ 1,
      flags: TCPFlags.syn | TCPFlags.ack)
    // Only what was offered is answered, so a SYN-ACK is never longer than its SYN.
    reply.segmentSize = offered == 0 ? 0 : size
    reply.options = AgreedOptions(offered: segment.options, allowed: optionsAllowed)
    reply.timestamp = segment.time &+ reply.options.clockOffset(proof.timestampOffset)
    reply.echo = segment.options.timestamp
    let isRepeated = RecentHandshakes.note(reply.sequence)
    if !isHandshakeReflected { return route(send(reply, counting: .handshake)) }
    return send(reply, counting: .handshake, isTwice: isRepeated)
  }

  @inline(__always) private var hasListenerBehind: Bool {
    if case .some = Handover.listener(packet, segment.flow, behind: backend) { return true }
    return false
  }

  /// Leaves a SYN to the kernel, where nobody may listen on the address it is to.
  @inline(__always) public func leaveHandshake() -> Verdict {
    if !hasOwnListener, let listener = Handover.listener(packet, segment.flow, behind: backend) { announce(listener) }
    return leave()
  }

  /// Options that may be agreed on: those the kernel can go on with after a hand-over.
  @inline(__always) var optionsAllowed: UInt8 { UInt8(truncatingIfNeeded: handshakeOptions) }

  /// What fits both the client and the device the packets take, there and back (RFC 9293 section 3.7.1).
  @inline(__always) private func segmentSize(_ offered: UInt16) -> UInt16 {
    guard let mtu = packet.deviceMTU else { return offered }
    let limit = mtu &- UInt32(segment.networkLength) &- UInt32(TCPHeader.byteCount)
    return UInt32(offered) < limit ? offered : UInt16(truncatingIfNeeded: limit)
  }

  /// The acknowledgement is our cookie's, but the segment is not the connection's first: the socket it was handed
  /// over to takes it, or the first segment is still to come.
  @inline(__always) private func missesStart(_ cookie: SequenceNumber, _ proof: CookieProof) -> Verdict {
    if case .connection = Handover.hasSocket(packet, segment.flow) { return leave() }
    guard isChecksumRight() else { return drop(.droppedChecksum) }
    // A keepalive probe of a connection that never sent a request (RFC 9293 section 3.8.4).
    if segment.sequenceLength <= 1,
      case .right = proof.check(cookie, clientStart: segment.sequence)
    {
      let connection = Connection(opening: segment, proof)
      return send(
        connection.reply(
          to: segment, sequence: cookie &+ 1, acknowledgement: segment.sequence &+ 1, flags: TCPFlags.ack),
        counting: .acknowledgement)
    }
    return drop(.droppedOutOfOrder)
  }

  /// The cookie is right: with data or a FIN the connection begins to exist.
  @inline(__always) private func open(_ proof: CookieProof) -> Step {
    // It tells a socket nothing new either, should there be one: the first request has not come.
    if segment.sequenceLength == 0 { return .done(drop(.droppedHandshakeAcknowledgement)) }
    if case .connection = Handover.hasSocket(packet, segment.flow) { return .done(leave()) }
    guard loadPayload(), isChecksumRight() else { return .done(drop(.droppedChecksum)) }
    connection = Connection(opening: segment, proof)
    if let step = accept() { return step }
    return segment.payloadLength != 0 ? .receive : .finish
  }
}
