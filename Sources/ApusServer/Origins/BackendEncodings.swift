import Contract

/// What a server behind says that compresses: an answer for each value of Accept-Encoding that is asked for often.
///
/// Which coding a value gets is the server's affair, so the values are told apart to the byte (RFC 9111 section 4.1 lets
/// a cache do no less). Each is asked for as the plain answer is, but with HTTP/1.1 only where it is in a content coding:
/// servers differ in whether they compress for HTTP/1.0. A value whose answers cannot be repeated is left to the server.
struct BackendEncodings {
  /// What browsers send over HTTP, and what the usual libraries and tools do.
  static let values = [
    "identity", "gzip", "gzip, deflate", "gzip, deflate, br", "gzip, deflate, br, zstd", "deflate, gzip",
    "deflate, gzip, br, zstd",
  ]
  /// Content codings a browser can undo (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
  private static let codings: Set<String> = ["gzip", "deflate", "br", "zstd"]

  let asker: BackendAsker

  private struct Learned {
    var object: ComposedObject
    var answer: BackendAnswer
  }

  /// The object with all that is learned beside the plain answer.
  func learned(_ plain: ComposedObject, _ lesson: BackendLesson) throws -> ComposedObject {
    var object = plain
    object.encodings = [ComposedObject.EncodingEntry(value: nil, representation: 0)]
    if asker.host.isEmpty { return object }
    let answer = try plain.heads.compactMap { $0 }.first.map { try BackendAsker.parse($0.bytes) }
    for value in Self.values {
      guard let learned = try learn(value, beside: plain), learned.answer.status == lesson.status,
        isCurrent(learned.answer, beside: answer)
      else { continue }
      object = adding(learned.object, for: value, to: object) ?? object
    }
    return object
  }

  /// The object of which the plain answer is too large to be kept, and is left to the server.
  ///
  /// - Parameter content: what the plain answer must be all the same; `nil`: that does not matter.
  func learned(tooLarge content: [UInt8]?) throws -> ComposedObject {
    // Most large answers are in no coding, whoever asks: this one value tells.
    guard !asker.host.isEmpty, let value = Self.values.last, let first = try learn(value, beside: nil) else {
      throw OriginRefusal.notStorable("too large")
    }
    let plain = try content.map { content in
      let bytesMax = content.count + Limits.responseBytesMax
      let answer = try asker.connect().exchange(asker.request("1.1"), bytesMax: bytesMax)
      guard answer.status == 200, answer.body == content, isCurrent(first.answer, beside: answer) else {
        throw OriginRefusal.notStorable("the answer is not the file")
      }
      return answer
    }
    var object = ComposedObject(representations: [.elsewhere, .none, .none, .none])
    object.ageBase_s = first.object.ageBase_s
    object.encodings = [ComposedObject.EncodingEntry(value: nil, representation: 0)]
    guard var whole = adding(first.object, for: value, to: object) else { throw OriginRefusal.notStorable("too large") }
    for value in Self.values.dropLast() {
      guard let learned = try learn(value, beside: nil), learned.answer.status == first.answer.status,
        isCurrent(learned.answer, beside: plain)
      else { continue }
      whole = adding(learned.object, for: value, to: whole) ?? whole
    }
    return whole
  }

  /// Whether a coded answer is made from what the plain one is. The bytes do not tell, and a server may have several
  /// processes that hold files open, not all of them the newest (nginx's `open_file_cache`).
  private func isCurrent(_ answer: BackendAnswer, beside plain: BackendAnswer?) -> Bool {
    guard asker.rules.isWatched, let plain, !answer.values("content-encoding").isEmpty else { return true }
    let dates = answer.values("last-modified")
    if let date = dates.first, asker.sideCarDates.contains(date) { return true }
    // Servers make the tag weak, or add the coding to it.
    func opaque(_ answer: BackendAnswer) -> Substring? {
      answer.values("etag").first.map { ($0.hasPrefix("W/") ? $0.dropFirst(2) : $0[...]).dropLast() }
    }
    guard dates == plain.values("last-modified") else { return false }
    guard let tag = opaque(answer), let plainTag = opaque(plain) else { return true }
    return tag.hasPrefix(plainTag)
  }

  /// The answer for one value; `nil` where it is to be left to the server.
  private func learn(_ value: String, beside plain: ComposedObject?) throws -> Learned? {
    let fields = ["Accept-Encoding: \(value)"]
    var lesson = BackendLesson(rules: asker.rules, body: nil)
    lesson.allowsChunks = true
    var learned: Learned?
    let isRepeatable = try BackendAsker.isRepeatable {
      var answers = BackendAsker.Answers()
      // A server that does not close in time makes each such question a wait.
      let closes = [VariantIndex.closing11, VariantIndex.closing10].map { plain?.heads[$0] != nil || plain == nil }
      try asker.ask11(fields, &lesson, &answers, closes: closes[0])
      guard let first = answers.variants.compactMap({ $0 }).first else { return }
      if first.values("content-encoding").isEmpty {
        if plain == nil || lesson.body != plain?.body || first.isChunked { return }
        try asker.ask10(fields, &lesson, &answers, closes: closes[1])
      } else {
        let codings = first.members("content-encoding")
        if codings.count != 1 || !Self.codings.contains(codings[0]) { return }
      }
      let object = try asker.composed(answers, lesson, fields: fields)
      learned = Learned(object: object, answer: first)
    }
    return isRepeatable ? learned : nil
  }

  /// The object with one more value; `nil` where it does not fit in.
  private func adding(_ other: ComposedObject, for value: String, to object: ComposedObject) -> ComposedObject? {
    // They share a record, and so the second their Age counts from and the end of their freshness.
    guard let new = other.representation(.identity), (other.ageBase_s == nil) == (object.ageBase_s == nil) else {
      return nil
    }
    var whole = object
    whole.keepAliveDiffers = object.keepAliveDiffers || other.keepAliveDiffers
    whole.ageBase_s = [object.ageBase_s, other.ageBase_s].compactMap { $0 }.min()
    whole.expires_ns = [object.expires_ns, other.expires_ns].compactMap { $0 }.min()
    let known = object.representations.firstIndex { availability in
      if case .stored(let old) = availability { old.isSame(as: new) } else { false }
    }
    let free = object.representations.firstIndex { if case .none = $0 { true } else { false } }
    guard let place = known ?? free else { return nil }
    if known == nil { whole.representations[place] = .stored(new) }
    whole.encodings.append(.init(value: Array(value.utf8), representation: place))
    guard (try? Record(whole, for: ObjectKey(site: 0, path: asker.target), hash: 0)) != nil else { return nil }
    return whole
  }
}

extension ComposedObject.Representation {
  /// Whether nothing tells the two apart but what the clock writes.
  fileprivate func isSame(as other: Self) -> Bool {
    body == other.body && answersHead == other.answersHead && Self.areSame(heads, other.heads)
      && conditions.isSame(as: other.conditions)
  }

  fileprivate static func areSame(_ heads: [ComposedObject.Head?], _ others: [ComposedObject.Head?]) -> Bool {
    heads.map { $0.map(comparable) } == others.map { $0.map(comparable) }
  }

  private static func comparable(_ head: ComposedObject.Head) -> [UInt8] {
    (try? BackendAsker.parse(head.bytes))?.comparableHead ?? head.bytes
  }
}

extension ComposedObject.Conditions {
  fileprivate func isSame(as other: Self) -> Bool {
    switch (self, other) {
    case (.unknown, .unknown), (.ignored, .ignored): true
    case (.evaluated(let validators, let heads), .evaluated(let otherValidators, let others)),
      (.repeated(let validators, let heads), .repeated(let otherValidators, let others)):
      validators == otherValidators && ComposedObject.Representation.areSame(heads, others)
    default: false
    }
  }
}
