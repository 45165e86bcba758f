import Contract

/// What the answers to one object's requests come to together: one body, one status, and the shortest time any of them
/// may be repeated.
struct BackendLesson {
  let rules: CachingRules
  /// Bodies may come in chunks, which are then a part of what must be repeated.
  var allowsChunks = false
  /// What each body must be: given from the start where a file says so, else what the first answer brings.
  private(set) var body: [UInt8]?
  private(set) var status: Int?
  private var isOwn: Bool?
  /// CLOCK_MONOTONIC; `nil` while nothing limits it.
  private(set) var expires_ns: UInt64?
  /// Whether an answer said `Vary: Accept-Encoding`.
  private(set) var varies = false
  /// CLOCK_REALTIME second at which the oldest of them was made.
  private var madeAt_s = Int.max

  private static let varyField = "accept-encoding"

  /// The longest time an object is kept without being asked for again.
  static let lifetime_s_max = 86_400

  init(rules: CachingRules, body: [UInt8]?) {
    self.rules = rules
    self.body = body
  }

  /// Takes an answer in.
  ///
  /// - Throws: `OriginRefusal.notStorable` if it must not be kept, or is not what the others are.
  mutating func take(_ answer: BackendAnswer) throws(OriginRefusal) {
    let reason = allowsChunks ? answer.notRepeatableAsFramedReason : answer.notRepeatableReason
    if let reason { throw .notStorable(reason) }
    let freshness = try judge(answer)
    if body != nil && body != answer.body {
      throw .notStorable(rules.isWatched ? "the answer is not the file" : "answers differ")
    }
    if (status ?? answer.status) != answer.status || (isOwn ?? freshness.isOwn) != freshness.isOwn {
      throw .notStorable("answers differ")
    }
    if answer.members("vary").contains(Self.varyField) { varies = true }
    (body, status, isOwn) = (answer.body, answer.status, freshness.isOwn)
    if !freshness.isOwn { madeAt_s = min(madeAt_s, answer.times.response_s - freshness.initialAge_s) }
    if let remaining_s = freshness.remaining_s {
      let end_ns = answer.times.response_ns + UInt64(min(remaining_s, Self.lifetime_s_max)) * 1_000_000_000
      expires_ns = min(expires_ns ?? .max, end_ns)
    }
  }

  private func judge(_ answer: BackendAnswer) throws(OriginRefusal) -> CachingRules.Freshness {
    do throws(CachingRules.Refusal) {
      // The values of this field are told apart where they make a difference (`BackendEncodings`).
      return try rules.freshness(of: answer.exchange(), varyAllowed: [Self.varyField])
    } catch {
      throw .notStorable(error == .status ? "status \(answer.status)" : error.description)
    }
  }

  /// The second from which Age counts; `nil` where the answers are repeated as the server's own.
  var ageBase_s: UInt32? {
    isOwn == false ? UInt32(truncatingIfNeeded: madeAt_s) : nil
  }

  /// The head as a part of the object.
  func composed(_ answer: BackendAnswer) -> ComposedObject.Head {
    guard isOwn == false else { return ComposedObject.Head(bytes: answer.head, dateOffset: answer.dateOffset) }
    var lines = AgeField.line
    if answer.dateOffset == nil {
      // A cache gives an answer without Date the time it was received (RFC 9110 section 6.6.1).
      lines = Array("Date: ".utf8) + HTTPDate.bytes(answer.times.response_s) + Array("\r\n".utf8) + lines
    }
    let head = answer.head(replacing: { $0.name == "age" ? [] : nil }, adding: lines)
    return ComposedObject.Head(bytes: head, dateOffset: nil)
  }
}
