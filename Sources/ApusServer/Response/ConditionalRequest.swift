/// The preconditions of a GET or HEAD for a file (RFC 9110 section 13).
enum ConditionalRequest {
  /// Whether the answer is 304 (Not Modified), by the order of section 13.2.2: If-None-Match decides where there is
  /// one, else If-Modified-Since.
  ///
  /// - Parameters:
  ///   - ifNoneMatch: the values of all field lines of this name, `nil` where there is none.
  ///   - ifModifiedSince: the value of the field, `nil` where there is none.
  ///   - now: the current second, for two-digit years.
  static func isNotModified<Bytes: Collection<UInt8>>(
    ifNoneMatch: [Bytes]?, ifModifiedSince: Bytes?, file: FileMetadata, tag: EntityTag, now: Int
  ) -> Bool {
    if let ifNoneMatch {
      return ifNoneMatch.contains { matches(list: Array($0), tag: tag) }
    }
    guard let ifModifiedSince, let date = HTTPDate.parse(ifModifiedSince, now: now) else { return false }
    return isUnmodified(file, since: date)
  }

  /// Whether the file is as it was at the date.
  ///
  /// Where the date is exactly the file's Last-Modified the client has it from us. Any other date is believed only if
  /// the change time does not contradict: a file put back from a backup has an old modification time and is new
  /// nevertheless. (304 is a "should" of section 13.1.3; 200 is never wrong.)
  static func isUnmodified(_ file: FileMetadata, since date: Int) -> Bool {
    if file.lastModified_s == date { return true }
    return file.lastModified_s < date && file.changed_s < date
  }

  /// Whether a list of entity tags, or `*`, names this one by weak comparison (section 8.8.3.2). What follows a
  /// malformed member is ignored.
  static func matches(list: [UInt8], tag: EntityTag) -> Bool {
    let quote = UInt8(ascii: "\"")
    var rest = list[...]
    func skipSeparators() {
      rest = rest.drop { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    }
    skipSeparators()
    if rest.elementsEqual("*".utf8) { return true }
    while !rest.isEmpty {
      if rest.starts(with: "W/".utf8) { rest = rest.dropFirst(2) }
      guard rest.first == quote, let end = rest.dropFirst().firstIndex(of: quote) else { return false }
      let member = rest[rest.startIndex...end]
      rest = rest[(end + 1)...]
      guard rest.isEmpty || ", \t".utf8.contains(rest[rest.startIndex]) else { return false }
      if member.elementsEqual(tag.bytes) { return true }
      skipSeparators()
    }
    return false
  }
}
