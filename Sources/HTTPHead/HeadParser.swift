import Contract
import Wire

/// Reads the head of a GET or HEAD request as the kernel part understands it: to the last byte, or not at all.
///
/// What is understood: `GET` or `HEAD`, an origin-form target, HTTP/1.0 or 1.1, fields whose names are letters, digits and
/// hyphens and whose values are printable ASCII, at most one each of Host, Connection, If-None-Match, If-Modified-Since
/// and Accept-Encoding (RFC 9112 sections 2 to 5). The values of the last three are read when it is known that they
/// matter.
/// Everything else has a reason of its own and goes to the server behind, which may well understand it.
///
/// Each loop is a function that is not inlined: when it returns, the verifier forgets its variables, so that all ways
/// through the loop become one again.
extension HeadBuffer {
  /// Reads the head, which must be all of the first `length` bytes of the buffer.
  ///
  /// - Returns: `nil` if the head is understood: then the path, its hash, Host and Connection are known.
  @inline(__always) public func parse(hashSeed: UInt64) -> HandoverReason? {
    // "GET " or "HEAD " and, at the end of the segment, the empty line.
    let method = bytes.word32(0)
    if method == 0x2054_4547 {
      methodExcess = 0
    } else if method == 0x4441_4548 && bytes.word8(4) == 0x20 {
      methodExcess = 1
    } else {
      return .method
    }
    if (bytes + ((length &- 4) & Self.mask)).word32(0) != 0x0a0d_0a0d { return .headIncomplete }
    if let reason = readTarget(hashSeed: hashSeed) { return reason }
    if let reason = readVersion() { return reason }
    if let reason = findLines() { return reason }
    readFields()
    readValues()
    return judge()
  }

  /// The request target: visible ASCII up to a space, beginning with a slash (origin-form, RFC 9112 section 3.2.1).
  @inline(never) private func readTarget(hashSeed: UInt64) -> HandoverReason? {
    let path = self.path
    if path.word8(0) != 0x2f { return .target }
    var hash = PathHash(seed: hashSeed, site: 0)
    pathLength = 0
    for step in 0..<33 {
      let word = path.word64(step &* 8)
      let found = ByteScan.notVisible(word)
      if found == 0 {
        hash.add(word)
        continue
      }
      let index = ByteScan.first(found)
      if (word &>> UInt64(index &* 8)) & 0xff != 0x20 { return .headMalformed }
      // A path that ends where a word ends has no further word.
      if index != 0 { hash.add(word & ((1 &<< UInt64(index &* 8)) &- 1)) }
      pathLength = step &* 8 &+ index
      break
    }
    pathHash = hash.value
    if pathLength == 0 || pathLength > Limits.pathBytesMax { return .target }
    return nil
  }

  /// The version and the end of the request line.
  @inline(__always) private func readVersion() -> HandoverReason? {
    let position = (pathOffset &+ 1 &+ pathLength) & 511
    let version = (bytes + position).word64(0)
    // "HTTP/1.1" and "HTTP/1.0" as loaded: the first letter is the lowest byte.
    if version == 0x312e_312f_5054_5448 {
      minorVersion = 1
    } else if version == 0x302e_312f_5054_5448 {
      minorVersion = 0
    } else {
      return .version
    }
    if (bytes + position).word16(8) != 0x0a0d { return .headMalformed }
    cursor = position &+ 10
    return nil
  }

  /// Finds where each line begins, and that nothing but printable ASCII and CRLF is in them.
  @inline(never) private func findLines() -> HandoverReason? {
    var lines = zero
    isScanned = word16(cursor) == 0x0a0d
    setLineStart(0, cursor)
    var position = cursor & Self.mask
    if isScanned {
      setLineStart(1, 0)
    } else {
      // Sixteen bytes a step; after a line's end the next step begins with the next line.
      for _ in 0..<(Limits.headBytesMax / 16 + Limits.fieldLinesMax + 1) {
        let here = bytes + position
        let low = ByteScan.notText(here.word64(0))
        let high = ByteScan.notText(here.word64(8))
        if low | high == 0 {
          position = (position &+ 16) & Self.mask
          continue
        }
        let index = low != 0 ? ByteScan.first(low) : 8 &+ ByteScan.first(high)
        let end = (position &+ index) & Self.mask
        if word16(end) != 0x0a0d { return .headMalformed }
        position = (end &+ 2) & Self.mask
        lines = (lines &+ 1) & 63
        if lines > Limits.fieldLinesMax { return .headTooLong }
        setLineStart(lines, position)
        if word16(position) == 0x0a0d {
          setLineStart(lines &+ 1, 0)
          isScanned = true
          break
        }
      }
      if !isScanned { return .headTooLong }
      cursor = position
    }
    // A second request in the segment: both must be hits or neither may be answered; so neither is.
    return cursor &+ 2 == length ? nil : .pipelined
  }

  /// Looks at every field's name, and notes where those are that matter here.
  @inline(never) private func readFields() {
    faults = UInt32(truncatingIfNeeded: zero)
    clearFields()
    for line in 0..<Limits.fieldLinesMax {
      let start = lineStart(line)
      let next = lineStart(line &+ 1)
      if next == 0 { break }
      let first = word64(start) | ByteScan.every(0x20)
      var found = ByteScan.notName(first)
      var position = start & Self.mask
      var word = first
      for _ in 0..<5 {
        if found != 0 { break }
        position = (position &+ 8) & Self.mask
        word = word64(position) | ByteScan.every(0x20)
        found = ByteScan.notName(word)
      }
      let index = ByteScan.first(found)
      let colon = (position &+ index) & Self.mask
      let nameLength = (colon &- start) & Self.mask
      if found == 0 || (word &>> UInt64(index &* 8)) & 0xff != 0x3a || nameLength == 0 {
        faults |= HeadFault.malformed
        break
      }
      let key = nameLength < 8 ? first & ((1 &<< UInt64((nameLength & 7) &* 8)) &- 1) : first
      let kind = FieldNames.kind(of: key)
      if kind != FieldKind.other {
        if fieldStart(kind) != 0 { faults |= HeadFault.repeated(kind) }
        setField(kind, start: start, end: next &- 2)
      }
    }
  }

  /// Holds the names against the whole names they are taken for, and finds where the values begin.
  @inline(never) private func readValues() {
    connectionOption = ConnectionOption.none
    findValue(FieldKind.host, nameLength: 4, isNamed: true)
    let connection = fieldStart(FieldKind.connection)
    findValue(FieldKind.connection, nameLength: 10, isNamed: word16(connection &+ 8) | 0x2020 == 0x6e6f)
    if connection != 0 { readConnection() }
    let noneMatch = fieldStart(FieldKind.ifNoneMatch)
    findValue(
      FieldKind.ifNoneMatch, nameLength: 13,
      isNamed: word64(noneMatch &+ 5) | ByteScan.every(0x20) == 0x6863_7461_6d2d_656e)
    let modifiedSince = fieldStart(FieldKind.ifModifiedSince)
    findValue(
      FieldKind.ifModifiedSince, nameLength: 17,
      isNamed: word64(modifiedSince &+ 8) | ByteScan.every(0x20) == 0x636e_6973_2d64_6569
        && word16(modifiedSince &+ 16) | 0x20 == 0x3a65)
    let encoding = fieldStart(FieldKind.acceptEncoding)
    findValue(
      FieldKind.acceptEncoding, nameLength: 15,
      isNamed: word64(encoding &+ 7) | ByteScan.every(0x20) == 0x676e_6964_6f63_6e65)
    hostOffset = fieldStart(FieldKind.host)
    hostLength = fieldEnd(FieldKind.host) &- hostOffset
  }

  /// Puts the start of the value in the place of the start of the line.
  @inline(__always) private func findValue(_ kind: UInt8, nameLength: Int, isNamed: Bool) {
    let start = fieldStart(kind)
    if start == 0 { return }
    let colon = (start &+ nameLength) & Self.mask
    let next = word16(colon)
    if !isNamed || next & 0xff != 0x3a { faults |= HeadFault.misnamed(kind) }
    // One space before the value, as everybody sends it; any other white space is found in the value.
    let value = colon &+ (next >> 8 == 0x20 ? 2 : 1)
    setField(kind, start: value & Self.mask, end: fieldEnd(kind))
  }

  @inline(__always) private func readConnection() {
    let value = fieldStart(FieldKind.connection)
    let length = fieldEnd(FieldKind.connection) &- value
    let word = word64(value) | ByteScan.every(0x20)
    if length == 5 && word & 0xff_ffff_ffff == 0x65_736f_6c63 {
      connectionOption = ConnectionOption.close
    } else if length == 10 && word == 0x696c_612d_7065_656b && word16(value &+ 8) | 0x2020 == 0x6576 {
      connectionOption = ConnectionOption.keepAlive
    } else {
      faults |= HeadFault.connection
    }
  }

  @inline(__always) private func judge() -> HandoverReason? {
    let faults = self.faults
    if faults & (HeadFault.malformed | HeadFault.repeated(FieldKind.host)) != 0 { return .headMalformed }
    if fieldStart(FieldKind.refused) != 0 { return .field }
    if faults & (HeadFault.connection | HeadFault.any(FieldKind.connection)) != 0 { return .connectionField }
    if fieldStart(FieldKind.conditional) != 0
      || faults & (HeadFault.any(FieldKind.ifNoneMatch) | HeadFault.any(FieldKind.ifModifiedSince)) != 0
    {
      return .conditional
    }
    if faults & HeadFault.any(FieldKind.acceptEncoding) != 0 { return .acceptEncoding }
    if hostOffset == 0 { return minorVersion == 0 ? nil : .hostMissing }
    if hostLength == 0 || hostLength > Limits.hostBytesMax { return .hostUnknown }
    let isAddress = word64(hostOffset & Self.mask) & 0xff == 0x5b
    return (isAddress ? isHostAddress() : isHostPlain()) ? nil : .hostUnknown
  }

  /// Whether Host is hexadecimal digits and colons in brackets, and perhaps a colon and a port: an IPv6 address, as far as
  /// matters here (RFC 3986 section 3.2.2).
  @inline(never) private func isHostAddress() -> Bool {
    var position = (hostOffset &+ 1) & Self.mask
    for _ in 0..<6 {
      let word = word64(position)
      let found = ByteScan.notAddress(word | ByteScan.every(0x20))
      if found == 0 {
        position = (position &+ 8) & Self.mask
        continue
      }
      let index = ByteScan.first(found)
      let end = (position &+ index) & Self.mask
      let length = (end &- hostOffset) & Self.mask
      if (word &>> UInt64(index &* 8)) & 0xff != 0x5d || length < 3 { return false }
      let rest = hostLength &- length &- 1
      if rest == 0 { return true }
      let behind = word64((end &+ 1) & Self.mask)
      // Of six digits and less the byte behind them is in the same word; ports have five.
      let port = ByteScan.notDigit(behind >> 8)
      return behind & 0xff == 0x3a && rest > 1 && port != 0 && ByteScan.first(port) == rest &- 1
    }
    return false
  }

  /// Whether Host is letters, digits, hyphens and dots, and perhaps a colon and a port (RFC 3986 sections 3.2.2 and
  /// 3.2.3 without the rarer forms).
  @inline(never) private func isHostPlain() -> Bool {
    var position = hostOffset & Self.mask
    for _ in 0..<9 {
      let word = word64(position) | ByteScan.every(0x20)
      let found = ByteScan.notHost(word)
      if found == 0 {
        position = (position &+ 8) & Self.mask
        continue
      }
      let index = ByteScan.first(found)
      let end = (position &+ index) & Self.mask
      let length = (end &- hostOffset) & Self.mask
      if (word &>> UInt64(index &* 8)) & 0xff == 0x3a {
        // Of seven digits and less the byte behind them is in the same word; ports have five.
        let port = ByteScan.notDigit(word64(end &+ 1))
        let digits = hostLength &- length &- 1
        return length != 0 && digits != 0 && port != 0 && ByteScan.first(port) == digits
      }
      // With bit 0x20 set the CR behind the value looks like a hyphen; the LF does not.
      return length == hostLength &+ 1
    }
    return false
  }
}
