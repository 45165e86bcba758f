import Contract

/// What the server behind says to HEAD, and to those who have the answer already: asked for with everything a client
/// can send that says the answer's validators again, in each of the ways the object is answered.
///
/// Whatever is not as it must be costs only this: such requests are then handed over.
struct BackendConditions {
  let asker: BackendAsker
  /// By `VariantIndex`: the answers to GET.
  let answers: [BackendAnswer?]
  let lesson: BackendLesson
  /// Sent with every question: what the answers were asked for with.
  var fields: [String] = []

  /// How a request says which variant it wants; by `VariantIndex`.
  private static let ways: [(version: String, fields: [String], persists: Bool)] = [
    ("1.1", [], true), ("1.1", ["Connection: close"], false), ("1.0", ["Connection: keep-alive"], true),
    ("1.0", [], false),
  ]

  private struct Question {
    var method: String
    var conditions: [String]
  }

  /// The object with what is learned.
  func learned(_ object: ComposedObject) -> ComposedObject {
    var object = object
    guard let first = answers.compactMap({ $0 }).first, first.status == 200 else { return object }
    object.answersHead = (try? answersHead()) == true
    guard let validators = validators(of: first), let heads = try? notModified(validators) else { return object }
    object.conditions = .repeated(validators, heads: heads)
    return object
  }

  private func answersHead() throws -> Bool {
    for index in answers.indices {
      guard let answer = answers[index] else { continue }
      let heads = try ask([Question(method: "HEAD", conditions: [])], index)
      guard heads.count == 1, heads[0].comparableHead == answer.comparableHead else { return false }
    }
    return true
  }

  /// What a client can say again.
  private func validators(of answer: BackendAnswer) -> ComposedObject.Validators? {
    let (tags, dates) = (answer.values("etag"), answer.values("last-modified"))
    guard tags.count <= 1, dates.count <= 1 else { return nil }
    let tag = tags.first.map { Array($0.utf8) } ?? []
    let date = dates.first ?? ""
    guard tag.isEmpty || Self.isEntityTag(tag), date.isEmpty || BackendAnswer.isFixdate(date),
      !tag.isEmpty || !date.isEmpty
    else { return nil }
    return ComposedObject.Validators(tag: tag, lastModified: Array(date.utf8))
  }

  /// `"xyzzy"` or `W/"xyzzy"` (RFC 9110 section 8.8.3), and not too long for a record.
  private static func isEntityTag(_ tag: [UInt8]) -> Bool {
    let quote = UInt8(ascii: "\"")
    let opaque = tag.starts(with: Array("W/".utf8)) ? tag.dropFirst(2) : tag[...]
    return tag.count <= Limits.tagBytesMax && opaque.count >= 2 && opaque.first == quote && opaque.last == quote
      && opaque.dropFirst().dropLast().allSatisfy { $0 > 32 && $0 != quote && $0 != 127 }
  }

  /// The heads of 304, by `VariantIndex`; `nil` where the server does not always say 304, or not always the same.
  private func notModified(_ validators: ComposedObject.Validators) throws -> [ComposedObject.Head?]? {
    let tag = "If-None-Match: " + String(decoding: validators.tag, as: UTF8.self)
    let date = "If-Modified-Since: " + String(decoding: validators.lastModified, as: UTF8.self)
    var conditions: [[String]] = []
    if !validators.tag.isEmpty { conditions.append([tag]) }
    if !validators.lastModified.isEmpty { conditions.append([date]) }
    if conditions.count == 2 { conditions.append([tag, date]) }
    let questions = ["GET", "HEAD"].flatMap { method in
      conditions.map { Question(method: method, conditions: $0) }
    }
    var heads = [ComposedObject.Head?](repeating: nil, count: VariantIndex.count)
    for index in answers.indices {
      guard let answer = answers[index] else { continue }
      let replies = try ask(questions, index)
      guard let first = replies.first, replies.count == questions.count,
        replies.allSatisfy({ $0.comparableHead == first.comparableHead && isNotModified($0, of: answer) })
      else { return nil }
      heads[index] = lesson.composed(first)
    }
    return heads
  }

  /// Whether it is a 304 that can be repeated, and says nothing of the answer that the answer did not.
  private func isNotModified(_ reply: BackendAnswer, of answer: BackendAnswer) -> Bool {
    let moving: Set<String> = ["age", "date", "expires", "keep-alive"]
    return reply.status == 304 && reply.headNotRepeatableReason == nil && reply.values("set-cookie").isEmpty
      && reply.fields.allSatisfy { field in
        moving.contains(field.name) || answer.values(field.name).isEmpty
          || answer.values(field.name) == reply.values(field.name)
      }
  }

  /// The answers to all the questions; fewer where the connection does not go on, or end, as it must.
  private func ask(_ questions: [Question], _ index: Int) throws -> [BackendAnswer] {
    let way = Self.ways[index]
    var connection: BackendConnection?
    var replies: [BackendAnswer] = []
    for question in questions {
      let open = try connection ?? asker.connect()
      let request = asker.request(way.version, way.fields + fields + question.conditions, method: question.method)
      let reply = try open.exchange(request, isHead: question.method == "HEAD")
      guard !open.hasMore, !reply.hasKeepAlive else { return [] }
      if way.persists {
        guard !reply.saysConnection("close"), way.version == "1.1" || reply.saysConnection("keep-alive") else {
          return []
        }
        connection = open
      } else {
        guard !reply.saysConnection("keep-alive"), open.endsHere() else { return [] }
      }
      replies.append(reply)
    }
    return replies
  }
}
