import Contract
import Testing

@testable import ApusServer

/// What is learned of a server's answers to HEAD and to conditional requests.
@Suite struct BackendConditionsTests {
  private static let request = ObjectRequest(key: ObjectKey("/f"), host: Array("example.org".utf8))
  private static let date = "Sun, 06 Nov 1994 08:49:37 GMT"

  /// A server that says 304 to whoever has the answer.
  private static func reply(to head: String, fields: [String] = ["Cache-Control: max-age=60"]) -> CannedAnswer {
    var answer = CannedAnswer()
    answer.fields += fields
    let knowsTag = head.contains("If-None-Match: \"1\"\r\n")
    let knowsDate = head.contains("If-Modified-Since: \(date)\r\n")
    if knowsTag || knowsDate {
      answer.status = "304 Not Modified"
      answer.framing = []
      answer.body = ""
    }
    return answer
  }

  private func learn(
    _ change: @escaping @Sendable (inout CannedAnswer, String) -> Void = { _, _ in }
  ) throws -> ComposedObject {
    let server = TestServer { head in
      var answer = Self.reply(to: head)
      change(&answer, head)
      return answer.reply(to: head)
    }
    return try Backend(endpoint: server.endpoint, root: nil).compose(Self.request, watch: { _ in })
  }

  private func hasConditions(_ object: ComposedObject) -> Bool {
    if case .repeated = object.conditions { true } else { false }
  }

  @Test func `a server that says 304 is repeated, with an Age in every head`() throws {
    let object = try learn()
    #expect(object.answersHead)
    guard case .repeated(let validators, let heads) = object.conditions else {
      Issue.record("nothing is learned")
      return
    }
    #expect(validators == .init(tag: Array("\"1\"".utf8), lastModified: Array(Self.date.utf8)))
    for head in heads {
      let head = try #require(head)
      #expect(String(decoding: head.bytes, as: UTF8.self).hasPrefix("HTTP/1.1 304 Not Modified\r\n"))
      #expect(AgeField.ends(head.bytes))
    }
  }

  @Test func `the record says the same again`() throws {
    let object = try learn()
    let record = try Record(object, for: Self.request.key, hash: 1)
    let block = UnsafeMutableRawPointer.allocate(byteCount: record.byteCount, alignment: 8)
    defer { block.deallocate() }
    record.write(to: block, generation: 2, lastHit_s: 0)
    let read = try #require(Record.read(block))
    #expect(read.answersHead && read.heads == object.heads && read.body == object.body)
    guard case .repeated(let first, let heads) = object.conditions,
      case .repeated(let second, let others) = read.conditions
    else {
      Issue.record("no conditions")
      return
    }
    #expect(first == second && heads == others)
  }

  @Test func `whatever a server says to one of these requests but 304 leaves all of them to it`() throws {
    let ways: [@Sendable (String) -> Bool] = [
      { $0.contains("If-None-Match") && $0.contains("If-Modified-Since") },
      { $0.contains("If-None-Match") && !$0.contains("If-Modified-Since") },
      { !$0.contains("If-None-Match") && $0.contains("If-Modified-Since") },
      { $0.hasPrefix("HEAD") && $0.contains("If-None-Match") },
      { $0.contains("HTTP/1.0") && $0.contains("If-None-Match") },
    ]
    for (index, way) in ways.enumerated() {
      let object = try learn { answer, head in
        if way(head) { answer = CannedAnswer() }
      }
      #expect(!hasConditions(object), "\(index)")
      #expect(object.heads.allSatisfy { $0 != nil }, "GET is answered all the same")
    }
  }

  @Test func `a 304 that differs from the answer, or from the others, is not repeated`() throws {
    for field in ["Cache-Control: no-store", "ETag: \"2\"", "Set-Cookie: a=b", "Transfer-Encoding: chunked"] {
      let object = try learn { answer, _ in
        guard answer.status.hasPrefix("304") else { return }
        let name = field.prefix { $0 != ":" }
        answer.fields.removeAll { $0.hasPrefix(name) }
        answer.fields.append(field)
      }
      #expect(!hasConditions(object), "\(field)")
    }
    let object = try learn { answer, head in
      if answer.status.hasPrefix("304"), head.contains("If-Modified-Since") { answer.fields.append("X: y") }
    }
    #expect(!hasConditions(object))
  }

  @Test func `validators that cannot be said again to the byte are not waited for`() throws {
    let object = try learn { answer, _ in answer.fields.removeAll { $0.hasPrefix("ETag") || $0.hasPrefix("Last-M") } }
    #expect(!hasConditions(object) && object.answersHead)
    for tag in ["ETag: 1", "ETag: \"\(String(repeating: "x", count: 100))\"", "ETag: \"a\"b\""] {
      let object = try learn { answer, _ in answer.fields = answer.fields.map { $0.hasPrefix("ETag") ? tag : $0 } }
      #expect(!hasConditions(object), "\(tag)")
    }
  }

  @Test func `HEAD is the server's where it says something else`() throws {
    #expect(
      try learn { answer, head in if head.hasPrefix("HEAD") { answer.fields.append("X: y") } }.answersHead == false)
    #expect(
      try learn { answer, head in
        if head.hasPrefix("HEAD") { answer.trailing = "a body all the same" }
      }.answersHead == false)
    #expect(
      try learn { answer, head in if head.hasPrefix("HEAD") { answer.status = "405 Method Not Allowed" } }.answersHead
        == false)
  }

  @Test func `an error is no 304 and no HEAD of its own`() throws {
    let object = try learn { answer, _ in answer.status = "404 Not Found" }
    #expect(!object.answersHead && !hasConditions(object))
  }

  @Test func `a renewal gives the heads of 304 the new date, too`() throws {
    let later = "Fri, 01 Jan 2027 00:00:00 GMT"
    let server = TestServer { head in
      var answer = Self.reply(to: head)
      answer.date = later
      return answer.reply(to: head)
    }
    let backend = Backend(endpoint: server.endpoint, root: nil)
    let old = try learn()
    let new = try backend.renew(Self.request, stored: old, watch: { _ in })
    guard case .repeated(_, let heads) = new.conditions else {
      Issue.record("forgotten by the renewal")
      return
    }
    for head in heads {
      let head = try #require(head)
      #expect(String(decoding: head.bytes, as: UTF8.self).contains("Date: \(later)\r\n") && AgeField.ends(head.bytes))
    }
    _ = try Record(new, for: Self.request.key, hash: 1)
  }
}
