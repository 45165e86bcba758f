import Contract

/// A 304 of the server behind, and what it makes of the stored answer (RFC 9111 section 4.3.4).
struct BackendRenewal {
  let rules: CachingRules
  let answer: BackendAnswer

  /// What each message says of itself and its connection: never a part of the update (RFC 9111 section 3.2).
  static let ownFields: Set<String> = [
    "age", "connection", "content-length", "date", "expires", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
  ]

  /// The object with the dates of the 304 in its heads and a new end of its freshness.
  ///
  /// - Returns: `nil` where more has changed than the clock: then the whole answer is to be asked for. So the heads
  ///   stay what the server would have sent, to the byte.
  func renewed(_ stored: ComposedObject) throws -> ComposedObject? {
    guard stored.ageBase_s != nil else { return nil }
    var lesson = BackendLesson(rules: rules, body: stored.body)
    var object = stored
    for index in stored.heads.indices {
      guard let head = stored.heads[index] else { continue }
      var old = try BackendAsker.parse(head.bytes)
      guard isOnlyLater(than: old), let bytes = updated(old) else { return nil }
      old = try BackendAsker.parse(bytes)
      old.body = stored.body
      old.times = answer.times
      // What the 304 says of its age is that of the answer it renews.
      let ages = answer.fields.filter { $0.name == "age" }
      guard ages.isEmpty else { return nil }
      try lesson.take(old)
      object.heads[index] = lesson.composed(old)
    }
    if case .repeated(let validators, let heads) = stored.representation(.identity)?.conditions {
      let renewed = try heads.map { head in try head.flatMap { try self.renewed($0, lesson) } }
      // Without the old ones, which would be of another time, HEAD and GET are still answered.
      let isWhole = zip(heads, renewed).allSatisfy { ($0 == nil) == ($1 == nil) }
      object.conditions = isWhole ? .repeated(validators, heads: renewed) : .unknown
    }
    object.ageBase_s = lesson.ageBase_s
    object.expires_ns = lesson.expires_ns
    return object
  }

  /// The head of a 304 with the dates of this one.
  private func renewed(_ head: ComposedObject.Head, _ lesson: BackendLesson) throws -> ComposedObject.Head? {
    guard let bytes = updated(try BackendAsker.parse(head.bytes)) else { return nil }
    return lesson.composed(try BackendAsker.parse(bytes))
  }

  /// Whether the fields both have are the same, those aside that move with the clock.
  private func isOnlyLater(than old: BackendAnswer) -> Bool {
    let names = Set(answer.fields.map(\.name)).subtracting(Self.ownFields)
    return names.allSatisfy { answer.values($0) == old.values($0) }
      && answer.values("expires").isEmpty == old.values("expires").isEmpty
  }

  /// The stored head with the Date and the Expires of the 304.
  private func updated(_ old: BackendAnswer) -> [UInt8]? {
    let dates = answer.values("date")
    guard dates.count == 1, old.values("date").count == 1 else { return nil }
    let expires = answer.values("expires")
    guard expires.count == old.values("expires").count, expires.count <= 1 else { return nil }
    return old.head(replacing: { field in
      let value: String? =
        switch field.name {
        case "date": dates.first
        case "expires": expires.first
        default: nil
        }
      guard let value else { return nil }
      return Array(old.head[field.line.lowerBound..<field.valueOffset]) + Array("\(value)\r\n".utf8)
    })
  }
}
