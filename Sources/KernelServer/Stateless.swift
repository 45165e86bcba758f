import BPFKernel
import Contract
import KernelSockets
import Wire

/// Packets of connections nothing is stored for: the handshake, and what proves that it took place.
extension Server {
  @inline(never) func begin() -> Step {
    let flags = segment.flags
    if flags.isOnly(TCPFlags.syn) { return .done(shakeHands()) }
    // A RST needs no answer, and a SYN with anything else is no handshake of a client.
    if flags.has(TCPFlags.rst) || flags.has(TCPFlags.syn) || !flags.has(TCPFlags.ack) { return .done(leave()) }
    let cookie = segment.acknowledgement &- 1
    let proof = keys.proof(of: segment.flow, in: cookie)
    switch proof.check(cookie, clientStart: segment.sequence &- 1) {
    case .wrong: return .done(leave())
    case .otherStart: return .done(missesStart(cookie, proof))
    case .right: return open(proof)
    }
  }

  @inline(__always) var keys: CookieKeys {
    let control = control.pointee
    return CookieKeys(first: control.cookieKey0, second: control.cookieKey1, current: control.cookieKeySlot)
  }

  /// SYN: answered with a cookie, or left to a listener of the kernel's.
  @inline(__always) private func shakeHands() -> Verdict {
    if isClientRefused { return drop(.clientRefused) }
    if control.pointee.handshakeOptions & HandshakeOptions.cookies == 0 { return leave() }
    // With a listener on this very address the kernel can serve while we cannot.
    if isDraining || (hasOwnListener && !isFresh(Clock.coarse_ns)) { return leave() }
    if hasOwnListener && isRoutedElsewhere { return leaveForRoute() }
    guard isChecksumRight() else { return drop(.checksum) }
    switch Handover.hasSocket(packet, segment.flow) {
    case .connection: return leave()
    case .listener: break
    case .none: if hasOwnListener { return leave() }
    }
    let behind = listener.pointee
    if !hasOwnListener
      && !Handover.hasListener(packet, segment.flow, address: behind.backendAddress, port: behind.backendPort)
    {
      return leave()
    }
    let offered = segment.options.segmentSize
    let sizeMin = segment.isIPv6 ? TCPOption.segmentSizeDefaultIPv6 : TCPOption.segmentSizeDefault
    let size = segmentSize(offered == 0 ? sizeMin : offered)
    // The kernel takes no connection over whose segments are smaller (bpf_sk_assign_tcp_reqsk).
    if size < sizeMin { return leave() }
    let proof = keys.proof(of: segment.flow, sizeIndex: SegmentSizes.index(of: size))
    var reply = Reply(
      sequence: proof.cookie(clientStart: segment.sequence), acknowledgement: segment.sequence &+ 1,
      flags: TCPFlags.syn | TCPFlags.ack)
    // Only what was offered is answered, so a SYN-ACK is never longer than its SYN.
    reply.segmentSize = offered == 0 ? 0 : size
    reply.options = AgreedOptions(offered: segment.options, allowed: optionsAllowed)
    reply.timestamp = reply.options.carried(by: TimestampClock.now(offset: proof.timestampOffset))
    reply.echo = segment.options.timestamp
    return sendByRoute(send(reply, counting: .handshakes))
  }

  /// Options the kernel may agree on, for it has to go on with them after a hand-over.
  @inline(__always) var optionsAllowed: UInt8 { UInt8(truncatingIfNeeded: control.pointee.handshakeOptions) }

  /// What fits both the client and the device the packets take, there and back (RFC 9293 section 3.7.1).
  @inline(__always) private func segmentSize(_ offered: UInt16) -> UInt16 {
    guard let mtu = packet.deviceMTU else { return offered }
    let limit = mtu &- UInt32(segment.networkLength) &- UInt32(TCPHeader.byteCount)
    return UInt32(offered) < limit ? offered : UInt16(truncatingIfNeeded: limit)
  }

  /// Whether the lists of clients keep this one out. The firewall's rules for incoming packets come after this
  /// program, so these lists are what stands before hits. Without a handshake there is no connection, so it is enough
  /// to look here.
  @inline(__always) private var isClientRefused: Bool {
    let flags = listener.pointee.flags
    if flags & (Listener.onlyAllowed | Listener.notDenied) == 0 { return false }
    let client = scratch.key(PrefixKey(length: 128, address: segment.flow.remoteAddress))
    if flags & Listener.notDenied != 0 && Maps.denied.value(at: client) != nil { return true }
    return flags & Listener.onlyAllowed != 0 && Maps.allowed.value(at: client) == nil
  }

  /// The acknowledgement is our cookie's, but the segment is not the connection's first: the socket it was handed
  /// over to takes it, or the first segment is still to come.
  @inline(__always) private func missesStart(_ cookie: SequenceNumber, _ proof: CookieProof) -> Verdict {
    if case .connection = Handover.hasSocket(packet, segment.flow) { return leave() }
    guard isChecksumRight() else { return drop(.checksum) }
    // A keepalive probe of a connection that never sent a request (RFC 9293 section 3.8.4).
    if segment.sequenceLength <= 1,
      case .right = proof.check(cookie, clientStart: segment.sequence)
    {
      let connection = Connection(opening: segment, proof)
      var reply = connection.reply(
        sequence: cookie &+ 1, acknowledgement: segment.sequence &+ 1, flags: TCPFlags.ack)
      // The first request will bring this timestamp back instead of the handshake's.
      reply.timestamp = reply.options.carried(by: reply.timestamp)
      return send(reply, counting: .acknowledgements)
    }
    return drop(.outOfOrder)
  }

  /// The cookie is right: with data or a FIN the connection begins to exist.
  @inline(__always) private func open(_ proof: CookieProof) -> Step {
    // It tells a socket nothing new either, should there be one: the first request has not come.
    if segment.sequenceLength == 0 { return .done(drop(.handshakeAcknowledgement)) }
    if case .connection = Handover.hasSocket(packet, segment.flow) { return .done(leave()) }
    guard loadPayload(), isChecksumRight() else { return .done(drop(.checksum)) }
    connection = Connection(opening: segment, proof)
    if !hasOwnListener && isRoutedElsewhere { return .handOver(.route) }
    return segment.payloadLength != 0 ? .serve : .finish
  }
}
