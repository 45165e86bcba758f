/// The preconditions of a GET or HEAD for a file (RFC 9110 section 13).
struct ConditionalRequest {
  /// Values of all field lines of a name; empty where there is none.
  var ifMatch: [[UInt8]] = []
  var ifNoneMatch: [[UInt8]] = []
  /// `nil` where there is no such field.
  var ifModifiedSince: [UInt8]?
  var ifUnmodifiedSince: [UInt8]?

  enum Outcome: Equatable {
    case perform
    /// 304
    case notModified
    /// 412
    case failed
  }

  /// What the conditions say, in the order of section 13.2.2: where there is an entity tag to go by, dates are not
  /// looked at.
  ///
  /// - Parameter now: the current second, for two-digit years.
  func evaluate(_ file: FileMetadata, _ tag: EntityTag, now: Int) -> Outcome {
    if !ifMatch.isEmpty {
      guard ifMatch.contains(where: { Self.matches(list: $0, tag: tag, weakly: false) }) else { return .failed }
    } else if let ifUnmodifiedSince, let date = HTTPDate.parse(ifUnmodifiedSince, now: now) {
      guard Self.isUnmodified(file, since: date) else { return .failed }
    }
    if !ifNoneMatch.isEmpty {
      return ifNoneMatch.contains { Self.matches(list: $0, tag: tag) } ? .notModified : .perform
    }
    if let ifModifiedSince, let date = HTTPDate.parse(ifModifiedSince, now: now) {
      return Self.isUnmodified(file, since: date) ? .notModified : .perform
    }
    return .perform
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

  /// Whether a list of entity tags, or `*`, names this one (section 8.8.3.2). What follows a malformed member is
  /// ignored.
  ///
  /// - Parameter weakly: whether `W/"x"` names `"x"`, as in If-None-Match, and not in If-Match.
  static func matches(list: [UInt8], tag: EntityTag, weakly: Bool = true) -> Bool {
    let quote = UInt8(ascii: "\"")
    var rest = list[...]
    func skipSeparators() {
      rest = rest.drop { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    }
    skipSeparators()
    if rest.elementsEqual("*".utf8) { return true }
    while !rest.isEmpty {
      let isWeak = rest.starts(with: "W/".utf8)
      if isWeak { rest = rest.dropFirst(2) }
      guard rest.first == quote, let end = rest.dropFirst().firstIndex(of: quote) else { return false }
      let member = rest[rest.startIndex...end]
      rest = rest[(end + 1)...]
      guard rest.isEmpty || ", \t".utf8.contains(rest[rest.startIndex]) else { return false }
      if member.elementsEqual(tag.bytes), weakly || !isWeak { return true }
      skipSeparators()
    }
    return false
  }
}
