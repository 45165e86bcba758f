import KernelTestSupport

/// What the server of a script must do.
extension Runner {
  mutating func expectSilence(for_ms: Int) throws {
    while let arrival = try world.receive(timeout_ms: for_ms) {
      note(arrival)
      if !isRepeatedOrLate(arrival.segment) {
        throw mismatch("a segment nobody expects, within \(for_ms) ms of silence")
      }
      try check(arrival.segment, isKernelPart: false)
    }
  }

  /// The kernel's TCP has timers: it repeats what a client on a busy machine was slow to acknowledge. And it runs on more
  /// CPUs than one: an acknowledgement sent by one may be overtaken by the data another sends.
  private func isRepeatedOrLate(_ segment: ReceivedSegment) -> Bool {
    isOfKernel && Int32(bitPattern: segment.sequence &- received.next) < 0
      && Int32(bitPattern: segment.sequence &+ segment.sequenceLength &- received.next) <= 0
  }

  mutating func expect(_ expectation: Expectation) throws {
    let arrival = try nextArrival(expectation.flags, isKernelPart: expectation.isKernelPart)
    let segment = arrival.segment
    if segment.flags.contains(.syn) { adopt(segment) }
    isOfKernel = !expectation.isKernelPart
    try check(segment, isKernelPart: expectation.isKernelPart)
    let failures = self.failures(of: arrival, expectation)
    if !failures.isEmpty { throw mismatch(failures.joined(separator: "; ")) }
    if segment.sequence == received.next && !segment.payload.isEmpty { received.message = segment.sequence }
    if !expectation.isLost { take(segment) }
  }

  mutating func nextArrival(_ flags: SegmentFlags, isKernelPart: Bool) throws -> SegmentInTime {
    while let arrival = try world.receive(timeout_ms: Self.patience_ms) {
      note(arrival)
      // When a TCP that is woken for its answer acknowledges by itself is its own affair (RFC 9293 section 3.8.6.3).
      let isPassedOver = isRepeatedOrLate(arrival.segment) || (flags != .ack && arrival.segment.flags == .ack)
      if isKernelPart || !isPassedOver { return arrival }
      try check(arrival.segment, isKernelPart: false)
    }
    throw mismatch("no segment came; \(flags) was expected")
  }

  /// How long a segment may be on its way through the test itself. Whether it was in time is told by the times at
  /// which packets passed the client's device.
  private static let patience_ms = 5000

  /// A SYN-ACK begins the connection whose SYN it acknowledges.
  private mutating func adopt(_ segment: ReceivedSegment) {
    let start = segment.acknowledgement &- 1
    sent = SequenceSpace(start: start, next: start &+ 1, message: start &+ 1)
    let first = segment.sequence
    received = SequenceSpace(start: first, next: first, message: first &+ 1)
    sentEnd = sent.next
    have = []
    stream = [:]
    serverClock = nil
    let options = SegmentOption.parse(segment.options)
    hasTimestamps = segment.timestamp != nil
    hasWindowScale = options.contains { if case .windowScale = $0 { true } else { false } }
    lastTimestamp = synTimestamp
  }

  mutating func take(_ segment: ReceivedSegment) {
    // What came out of order before its turn.
    if Int32(bitPattern: segment.acknowledgement &- sent.next) > 0 { sent.next = segment.acknowledgement }
    if segment.flags.contains(.syn) {
      received.next &+= 1
      return
    }
    for index in 0..<segment.sequenceLength { have.insert(segment.sequence &+ index) }
    while have.contains(received.next) { received.next &+= 1 }
  }

  // MARK: What holds of every segment

  /// Right checksums; nothing acknowledged that was not sent; no byte of the stream that differs from an earlier one at
  /// its place; timestamps on all or none, and never running backwards (RFC 7323 section 3.2) but in what comes late.
  mutating func check(_ segment: ReceivedSegment, isKernelPart: Bool) throws {
    if !segment.faults.isEmpty { throw mismatch("a wrong packet: \(segment.faults.joined(separator: ", "))") }
    let isReset = segment.flags.contains(.rst)
    if !segment.flags.contains(.ack) && !isReset { throw mismatch("a segment without an ACK") }
    if segment.flags.contains(.ack) && Int32(bitPattern: segment.acknowledgement &- sentEnd) > 0 && !isReset {
      throw mismatch("an acknowledgement of what was never sent")
    }
    for (index, byte) in segment.payload.enumerated() {
      let place = segment.sequence &+ UInt32(index) &- received.start
      if let earlier = stream.updateValue(byte, forKey: place), earlier != byte {
        throw mismatch("byte \(place) of the stream differs from what was sent in its place before")
      }
    }
    if hasTimestamps && !isReset && !(areTimestampsForbidden && !isKernelPart) {
      guard let value = segment.timestamp?.value else { throw mismatch("a segment without timestamps") }
      let isBehind = serverClock.map { Int32(bitPattern: value &- $0) < 0 } ?? false
      if isBehind && (isKernelPart || !isRepeatedOrLate(segment)) { throw mismatch("TSval runs backwards") }
      if !isBehind { serverClock = value }
    }
    // The window of the kernel part is never closed: it keeps nothing back.
    let shift: UInt16 = hasWindowScale && !segment.flags.contains(.syn) ? UInt16(KernelPartFacts.windowShift) : 0
    if isKernelPart && !isReset && segment.window != KernelPartFacts.window >> shift {
      throw mismatch("the window is \(segment.window)")
    }
  }

  // MARK: What a step says

  private func failures(of arrival: SegmentInTime, _ expectation: Expectation) -> [String] {
    let segment = arrival.segment
    var failures: [String] = []
    func require(_ holds: Bool, _ reason: @autoclosure () -> String) { if !holds { failures.append(reason()) } }

    require(segment.flags == expectation.flags, "flags \(segment.flags), not \(expectation.flags)")
    let sequence = received.absolute(expectation.seq)
    let isSequenceKnown = !expectation.flags.contains(.syn)
    require(
      !isSequenceKnown || segment.sequence == sequence,
      "seq \(received.relative(segment.sequence)), not \(received.relative(sequence))")
    if expectation.flags.contains(.ack) {
      let acknowledgement = sent.absolute(expectation.ack)
      require(
        segment.acknowledgement == acknowledgement,
        "ack \(sent.relative(segment.acknowledgement)), not \(sent.relative(acknowledgement))")
    }
    if let window = expectation.window { require(segment.window == window, "window \(segment.window), not \(window)") }
    require(
      arrival.after_ms <= Double(expectation.within_ms),
      "after \(arrival.after_ms) ms, which is more than \(expectation.within_ms)")
    if expectation.isKernelPart {
      let options = SegmentOption.parse(segment.options)
      let expected = expectedOptions(of: segment, expectation)
      require(Set(options) == Set(expected) && options.count == expected.count, "options \(options), not \(expected)")
    }
    if expectation.isSelective {
      let hasBlocks = SegmentOption.parse(segment.options).contains { if case .sack = $0 { true } else { false } }
      require(hasBlocks, "no SACK blocks")
    }
    if let reason = expectation.content.difference(from: segment.payload) { failures.append(reason) }
    return failures
  }

  func expectedOptions(of segment: ReceivedSegment, _ expectation: Expectation) -> [SegmentOption] {
    let value = segment.timestamp?.value ?? 0
    if let offer = expectation.offer {
      return KernelPartFacts.agreement(to: offer, mssMax: world.mssMax, value: value, echo: synTimestamp)
    }
    // A RST may have timestamps, as tcp_send_active_reset sends them.
    guard hasTimestamps, segment.timestamp != nil || !segment.flags.contains(.rst) else { return expectation.options }
    return [.timestamps(value: value, echo: lastTimestamp)] + expectation.options
  }

  // MARK: A server behind

  mutating func expect(_ service: Service) throws {
    var isFinished = false
    // Of the response that begins the bytes; another one may be behind it.
    var length = Content.length(ofResponse: unread)
    while length.map({ unread.count < $0 }) ?? true || (service.fin && !isFinished) {
      guard let arrival = try world.receive(timeout_ms: service.within_ms) else {
        throw mismatch("the response did not come whole: \(unread.count) bytes")
      }
      note(arrival)
      let segment = arrival.segment
      isOfKernel = true
      try check(segment, isKernelPart: false)
      if segment.flags.contains(.rst) { throw mismatch("reset") }
      // Bytes that come again are no fault of a TCP that is not acknowledged in time.
      if segment.sequence != received.next { continue }
      unread += segment.payload
      length = Content.length(ofResponse: unread)
      isFinished = isFinished || segment.flags.contains(.fin)
      take(segment)
      if segment.sequenceLength != 0 { try send(Sending(flags: .ack)) }
    }
    let response = Array(unread.prefix(length!))
    unread.removeFirst(length!)
    if let reason = Content.response(service.status, path: service.path).difference(from: response) {
      throw mismatch(reason)
    }
  }
}

/// What the kernel part says of itself in every script.
public enum KernelPartFacts {
  /// The window it offers.
  static let window: UInt16 = 64_240
  /// How far it shifts it, if the client shifts its own.
  static let windowShift: UInt8 = 7

  /// What it agrees to of an offer: nothing that was not offered.
  ///
  /// Without timestamps neither SACK nor a window scale, as the kernel does with its own cookies: there is no place to
  /// carry them.
  static func agreement(to offer: Offer, mssMax: UInt16, value: UInt32, echo: UInt32) -> [SegmentOption] {
    guard let mss = offer.mss else { return [] }
    var options: [SegmentOption] = [.mss(min(mss, mssMax))]
    guard offer.timestamps else { return options }
    options.append(.timestamps(value: value, echo: echo))
    if offer.sack { options.append(.sackPermitted) }
    if offer.windowScale != nil { options.append(.windowScale(windowShift)) }
    return options
  }
}

extension ReceivedSegment {
  var timestamp: (value: UInt32, echo: UInt32)? {
    for option in SegmentOption.parse(options) {
      if case .timestamps(let value, let echo) = option { return (value, echo) }
    }
    return nil
  }

  /// What it takes of the sequence space.
  var sequenceLength: UInt32 {
    UInt32(payload.count) &+ (flags.contains(.fin) ? 1 : 0) &+ (flags.contains(.syn) ? 1 : 0)
  }
}
