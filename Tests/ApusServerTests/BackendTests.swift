import Contract
import Glibc
import Synchronization
import Testing

@testable import ApusServer

@Suite struct BackendTests {
  let directory = ChangingDirectory()

  init() {
    directory.write("f", "body")
    directory.makeDirectory("d")
    directory.write("d/index.html", "body")
    directory.write("d/other", "another")
    directory.link("link", to: "d/index.html")
    directory.write("empty", "")
    directory.write("large", String(repeating: "x", count: Backend.Settings.fileBytesMax + 1))
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
  }

  private func compose(
    _ path: String = "/f", host: String = "example.org", watch: (NameDependency) throws -> Void = { _ in },
    _ respond: @escaping @Sendable (String) -> TestServer.Reply
  ) throws -> ComposedObject {
    let server = TestServer(respond)
    return try Backend(endpoint: server.endpoint, root: directory.path)
      .compose(ObjectRequest(key: ObjectKey(path), host: Array(host.utf8)), watch: watch)
  }

  /// Why the answers are refused; `nil` when they are not.
  private func refusal(_ path: String = "/f", _ change: @escaping @Sendable (inout CannedAnswer, String) -> Void)
    -> String?
  {
    do {
      _ = try compose(path) { head in
        var answer = CannedAnswer()
        change(&answer, head)
        return answer.reply(to: head)
      }
      return nil
    } catch OriginRefusal.notStorable(let reason) { return reason } catch { return "\(error)" }
  }

  @Test(arguments: ["/f", "/link", "/d/", "/d/index.html"])
  func aGoodServersAnswersAreLearnedForAllKindsOfRequest(path: String) throws {
    let object = try compose(path) { CannedAnswer().reply(to: $0) }
    #expect(object.body == Array("body".utf8))
    let connections = ["keep-alive", "close", "keep-alive", "close"]
    for (head, connection) in zip(object.heads, connections) {
      let head = try #require(head)
      let text = String(decoding: head.bytes, as: UTF8.self)
      #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.hasSuffix("Connection: \(connection)\r\n\r\n"))
      let date = try #require(head.dateOffset)
      #expect(BackendAnswer.isFixdate(String(decoding: head.bytes[date..<date + 29], as: UTF8.self)))
      #expect(text.utf8.dropFirst(date - 6).starts(with: "Date: ".utf8))
    }
  }

  @Test func theRequestsCarryTheHostAndAllKindsAreAsked() throws {
    let log = Log()
    _ = try compose(host: "www.example.org") { head in
      log.lines.withLock { $0.append(head) }
      return CannedAnswer().reply(to: head)
    }
    let requests = log.lines.withLock { $0 }
    #expect(requests.allSatisfy { $0.contains(" /f HTTP/1.") && $0.contains("\r\nHost: www.example.org\r\n") })
    let plain = requests.filter { $0.hasPrefix("GET ") && !$0.contains("If-") }
    #expect(plain.count { $0 == "GET /f HTTP/1.1\r\nHost: www.example.org\r\n\r\n" } == 3)
    #expect(plain.count { $0.contains("HTTP/1.1") && $0.contains("Connection: close") } == 1)
    #expect(plain.count { $0.contains("HTTP/1.1") && $0.contains("Connection: keep-alive") } == 1)
    #expect(plain.count { $0.contains("HTTP/1.0") && $0.contains("Connection: keep-alive") } == 2)
    #expect(plain.count { $0.contains("HTTP/1.0") && !$0.contains("Connection") } == 1)
    #expect(plain.count { $0.contains("Accept-Encoding: gzip") && $0.contains("Mozilla") } == 2)
    #expect(plain.count { $0.contains("Accept-Encoding: br\r\n") && !$0.contains("Mozilla") } == 1)
    #expect(plain.count { $0.contains("Cookie") && $0.contains("Origin") } == 2)
    #expect(plain.count { $0.contains("Mozilla") } == 4)
  }

  private final class Log: Sendable { let lines = Mutex<[String]>([]) }

  @Test(arguments: [
    "Cache-Control: public, max-age=3600", "Cache-Control: max-age=60, immutable", "Vary: Accept-Encoding",
    "X-Other: anything", "Accept-Ranges: bytes", "Cache-Control: s-maxage=1, stale-while-revalidate=5",
    "Cache-Control: must-revalidate", "Cache-Control: public, unheard-of",
  ])
  func fieldsThatForbidNothingAreKept(field: String) throws {
    let object = try compose { head in
      var answer = CannedAnswer()
      answer.fields.append(field)
      return answer.reply(to: head)
    }
    #expect(object.heads.allSatisfy { String(decoding: $0!.bytes, as: UTF8.self).contains("\r\n\(field)\r\n") })
  }

  @Test(arguments: [
    "Set-Cookie: a=b", "Cache-Control: private", "Cache-Control: no-store", "Cache-Control: no-cache",
    "Cache-Control: max-age=0", "Cache-Control: max-age=x", "Vary: *", "Vary: User-Agent",
    "Vary: Accept-Encoding, Cookie",
    "Pragma: no-cache", "Expires: 0", "Expires: Thu, 01 Jan 1998 00:00:00 GMT", "Age: 5", "Content-Length: 4",
    "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Transfer-Encoding: chunked", "WWW-Authenticate: Basic", " folded",
    "no colon", ": no name", "bad name: x", "X-Control: \u{1}",
  ])
  func fieldsThatForbidStoringAreObeyed(field: String) {
    #expect(refusal { answer, _ in answer.fields.append(field) } != nil)
  }

  @Test func whatIsNotTheSameForAllIsNotStored() {
    let isBrowser = { @Sendable (head: String) in head.contains("Mozilla") }
    #expect(
      refusal { answer, head in if isBrowser(head) { answer.fields.append("Content-Encoding: x") } } == "answers differ"
    )
    #expect(refusal { answer, head in if isBrowser(head) { answer.body = "BODY" } } == "the answer is not the file")
    #expect(
      refusal { answer, head in if head.contains("Cookie") { answer.fields[0] = "Server: b" } } == "answers differ")
    #expect(
      refusal { answer, head in if head.contains("HTTP/1.0") { answer.status = "404 Not Found" } } == "status 404")
    let log = Log()
    #expect(
      refusal { answer, head in
        log.lines.withLock {
          $0.append(head)
          answer.fields.append("X-Count: \($0.count)")
        }
      } == "answers differ")
  }

  @Test func answersOfOtherFormsAreNotStored() {
    #expect(refusal { answer, _ in answer.status = "206 Partial Content" } == "status 206")
    #expect(refusal { answer, _ in answer.body = "other" } == "the answer is not the file")
    #expect(refusal { answer, _ in answer.date = "Sunday, 06-Nov-94 08:49:37 GMT" } == "a Date in another form")
    #expect(
      refusal { answer, _ in answer.fields.append("X-Time: \(answer.date!)") } == "the time in a field other than Date")
    #expect(refusal { answer, _ in answer.trailing = "x" } == "more bytes than announced")
    #expect(refusal { answer, _ in answer.version = "2.0" } == "no status line of HTTP/1")
    #expect(
      refusal { answer, _ in (answer.framing, answer.closes, answer.connection) = ([], true, "close") }
        == "no Content-Length")
    #expect(
      refusal { answer, _ in
        (answer.framing, answer.body) = (["Transfer-Encoding: chunked"], "4\r\nbody\r\n0\r\n\r\n")
      } == "it has transfer-encoding")
    #expect(refusal { answer, _ in answer.framing = ["Content-Length: 99999"] } == "too large")
  }

  @Test func aServerOfHTTP10GivesOnlyClosingVariants() throws {
    let object = try compose { head in
      var answer = CannedAnswer()
      (answer.version, answer.connection, answer.closes) = ("1.0", .some(nil), true)
      return answer.reply(to: head)
    }
    #expect(object.heads.map { $0 != nil } == [false, true, false, true])
  }

  @Test func aHeadThatCountsDownIsNoVariant() throws {
    let object = try compose { head in
      var answer = CannedAnswer()
      if head.contains("HTTP/1.0\r\n") && head.contains("keep-alive") { answer.fields.append("Keep-Alive: timeout=5") }
      return answer.reply(to: head)
    }
    #expect(object.heads.map { $0 != nil } == [true, true, false, true])
  }

  @Test func answersWithoutDateAreKeptWithoutDate() throws {
    let object = try compose { head in
      var answer = CannedAnswer()
      answer.date = nil
      return answer.reply(to: head)
    }
    #expect(object.heads.allSatisfy { $0 != nil && $0!.dateOffset == nil })
  }

  @Test(arguments: ["/missing", "/d", "/f/", "/large", "/../f", "/%66", "/d/missing/"])
  func pathsWithoutAFileAreNotStorableAndTheServerIsNotAsked(path: String) {
    let reason = refusal(path) { _, _ in Issue.record("asked for \(path)") }
    #expect(reason != nil)
  }

  @Test func aListingIsNotStored() {
    #expect(refusal("/d/") { answer, _ in answer.body = "index.html, other" } == "not a file of the directory")
  }

  @Test func aPathOfADirectoryDependsOnAllItsNamesAndTheFile() throws {
    var watched: [NameDependency] = []
    _ = try compose("/d/", watch: { watched.append($0) }) { CannedAnswer().reply(to: $0) }
    #expect(watched.contains(NameDependency(directory: directory.url("d"), name: nil)))
    #expect(watched.contains(NameDependency(directory: directory.url("d"), name: "index.html")))
  }

  @Test func aFileJustWrittenIsNotQuiet() throws {
    directory.write("f", "body")
    #expect {
      try compose { CannedAnswer().reply(to: $0) }
    } throws: { error in
      guard case OriginRefusal.notQuiet(let retryAfter_ms) = error else { return false }
      return (1...ServerLimits.quiet_ms + 1).contains(retryAfter_ms)
    }
  }

  @Test func aFileThatChangesMeanwhileIsNotStored() {
    let directory = directory
    let reason = refusal { _, head in
      if head.contains("HTTP/1.0") && !head.contains("Connection") { directory.write("f", "bodY") }
    }
    #expect(reason == "\(OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms))")
  }

  @Test func aServerThatIsNotThereIsAFailure() {
    let (listener, endpoint) = TestServer.listen()
    close(listener)
    #expect {
      _ = try Backend(endpoint: endpoint, root: directory.path)
        .compose(ObjectRequest(key: ObjectKey("/f"), host: []), watch: { _ in })
    } throws: { error in
      guard case OriginRefusal.failed(let reason) = error else { return false }
      return reason.contains("Connection refused") && reason.contains("127.0.0.1:\(endpoint.port)")
    }
  }

  @Test func aHostThatWouldAddFieldsIsRefused() {
    #expect(throws: OriginRefusal.notStorable("a malformed Host")) {
      try compose(host: "a\r\nX: y") { CannedAnswer().reply(to: $0) }
    }
  }

}
