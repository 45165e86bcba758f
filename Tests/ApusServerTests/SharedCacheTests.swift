import Contract
import Glibc
import Synchronization
import Testing

@testable import ApusServer

/// A server behind without a watched root: its answers are kept by RFC 9111.
@Suite struct SharedCacheTests {
  private static let request = ObjectRequest(key: ObjectKey("/f"), host: Array("example.org".utf8))

  private func compose(
    ttl_s: Int? = nil, _ change: @escaping @Sendable (inout CannedAnswer, String) -> Void
  ) throws -> ComposedObject {
    let server = TestServer { head in
      var answer = CannedAnswer()
      change(&answer, head)
      return answer.reply(to: head)
    }
    return try Backend(endpoint: server.endpoint, root: nil, ttl_s: ttl_s).compose(Self.request, watch: { _ in })
  }

  private func refusal(
    ttl_s: Int? = nil, _ change: @escaping @Sendable (inout CannedAnswer, String) -> Void
  ) -> String? {
    do {
      _ = try compose(ttl_s: ttl_s, change)
      return nil
    } catch OriginRefusal.notStorable(let reason) { return reason } catch { return "\(error)" }
  }

  private static func now_s() -> Int { time(nil) }

  @Test func `a fresh answer is kept with its Date, an Age and an end`() throws {
    let before_ns = MonotonicClock.now_ns()
    let object = try compose { answer, _ in answer.fields.append("Cache-Control: max-age=60") }
    let after_ns = MonotonicClock.now_ns()
    let expires_ns = try #require(object.expires_ns)
    // The Date is of a whole second, and may be of the one before.
    #expect((before_ns + 58_000_000_000...after_ns + 60_000_000_000).contains(expires_ns))
    #expect(Self.now_s() - Int(try #require(object.ageBase_s)) <= 2)
    for head in object.heads {
      let head = try #require(head)
      #expect(head.dateOffset == nil && AgeField.ends(head.bytes))
      let text = String(decoding: AgeField.removed(from: head.bytes), as: UTF8.self)
      #expect(text.contains("\r\nDate: ") && text.hasSuffix("\r\n\r\n") && text.contains("max-age=60"))
    }
    _ = try Record(object, for: Self.request.key, hash: 1)
  }

  @Test func `an answer of another cache goes on aging here, and has one Age`() throws {
    let object = try compose { answer, _ in answer.fields += ["Cache-Control: max-age=60", "Age: 20"] }
    let age_s = Self.now_s() - Int(try #require(object.ageBase_s))
    #expect((20...22).contains(age_s))
    #expect(try #require(object.expires_ns) <= MonotonicClock.now_ns() + 40_000_000_000)
    let text = String(decoding: AgeField.removed(from: object.heads[0]!.bytes), as: UTF8.self)
    #expect(!text.contains("Age: "))
  }

  @Test func `an answer without a Date gets the one it was received at`() throws {
    let object = try compose { answer, _ in
      answer.date = nil
      answer.fields.append("Cache-Control: max-age=60")
    }
    let answer = try BackendAsker.parse(object.heads[0]!.bytes)
    let date_s = try #require(answer.values("date").first.flatMap { HTTPDate.parse($0.utf8, now: Self.now_s()) })
    #expect((0...2).contains(Self.now_s() - date_s))
  }

  @Test func `without freshness nothing is kept, but for the time the user names`() throws {
    #expect(refusal { _, _ in } == "no freshness of its own")
    let object = try compose(ttl_s: 30) { _, _ in }
    #expect(try #require(object.expires_ns) <= MonotonicClock.now_ns() + 30_000_000_000)
    #expect(refusal(ttl_s: 30) { answer, _ in answer.fields.append("Cache-Control: no-store") } != nil)
  }

  @Test func `the shortest time of all answers counts`() throws {
    let object = try compose { answer, head in
      answer.fields.append("Cache-Control: max-age=600")
      if head.contains("HTTP/1.0") { answer.fields.append("Age: 590") }
    }
    #expect(try #require(object.expires_ns) <= MonotonicClock.now_ns() + 10_000_000_000)
  }

  @Test func `without a Host the server is asked without one, and only as HTTP/1.0`() throws {
    let log = Requests()
    let server = TestServer { head in
      log.list.withLock { $0.append(head) }
      var answer = CannedAnswer()
      answer.fields.append("Cache-Control: max-age=60")
      return answer.reply(to: head)
    }
    let object = try Backend(endpoint: server.endpoint, root: nil)
      .compose(ObjectRequest(key: ObjectKey("/f"), host: []), watch: { _ in })
    #expect(object.heads.map { $0 != nil } == [false, false, true, true])
    #expect(log.list.withLock { $0.allSatisfy { $0.contains(" /f HTTP/1.0\r\n") && !$0.contains("Host") } })
    #expect(log.list.withLock { $0.count { $0.contains("Cookie") } } == 2)
  }

  @Test func `a missing page with a time of its own is kept`() throws {
    let object = try compose { answer, _ in
      answer.status = "404 Not Found"
      answer.fields.append("Cache-Control: max-age=9")
    }
    #expect(String(decoding: object.heads[0]!.bytes, as: UTF8.self).hasPrefix("HTTP/1.1 404 Not Found\r\n"))
  }

  @Test(arguments: [
    "Vary: Accept-Encoding, User-Agent", "Vary: *", "Set-Cookie: a=b", "Cache-Control: private",
    "Transfer-Encoding: chunked",
  ])
  func `what must not be kept is not`(field: String) {
    #expect(refusal(ttl_s: 60) { answer, _ in answer.fields.append(field) } != nil)
  }

  @Test func `what differs from one answer to the next is not kept`() {
    let counter = Counter()
    #expect(refusal(ttl_s: 60) { answer, _ in answer.body = counter.next() } == "answers differ")
    #expect(refusal(ttl_s: 60) { answer, _ in answer.fields.append("X: \(counter.next())") } == "answers differ")
    #expect(refusal(ttl_s: 60) { answer, head in if head.contains("Cookie") { answer.body = "mine" } } != nil)
  }

  private final class Counter: Sendable {
    private let value = Atomic<Int>(1000)
    func next() -> String { "\(value.add(1, ordering: .relaxed).newValue)" }
  }

  @Test func `Apache counts down in Keep-Alive: only who does not ask for it is answered`() throws {
    let counter = Counter()
    let object = try compose(ttl_s: 60) { answer, head in
      let asks = head.contains("keep-alive")
      answer.connection = .some(asks ? "Keep-Alive" : head.contains("close") || head.contains("1.0") ? "close" : nil)
      if asks { answer.fields.append("Keep-Alive: timeout=5, max=\(counter.next())") }
    }
    #expect(object.heads.map { $0 != nil } == [true, true, false, true])
    #expect(object.keepAliveDiffers)
    #expect(try Record(object, for: Self.request.key, hash: 1).header.flags & RecordFlag.keepAliveDiffers != 0)
  }

  // MARK: Renewal

  private func renew(
    _ renewal: @escaping @Sendable (_ head: String) -> TestServer.Reply?
  ) throws -> (old: ComposedObject, new: ComposedObject) {
    let server = TestServer { head in
      if head.contains("If-None-Match"), let reply = renewal(head) { return reply }
      var answer = CannedAnswer()
      answer.fields += ["Cache-Control: max-age=60", "Expires: Fri, 01 Jan 2100 00:00:00 GMT"]
      if head.contains("If-None-Match") { answer.body = "new body" }
      return answer.reply(to: head)
    }
    let backend = Backend(endpoint: server.endpoint, root: nil)
    let old = try backend.compose(Self.request, watch: { _ in })
    return (old, try backend.renew(Self.request, stored: old, watch: { _ in }))
  }

  private static func notModified(_ fields: String...) -> TestServer.Reply {
    let lines = ["HTTP/1.1 304 Not Modified"] + fields
    return TestServer.Reply(bytes: Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8), closes: false)
  }

  @Test func `a 304 makes the object fresh again, with the new Date and Expires`() throws {
    let date = "Fri, 01 Jan 2027 00:00:00 GMT"
    let conditions = Log()
    let (old, new) = try renew { head in
      conditions.text.withLock { $0 = head }
      return Self.notModified(
        "Date: \(CannedAnswer.now())", "ETag: \"1\"", "Cache-Control: max-age=60", "Expires: \(date)", "Server: test")
    }
    let head = conditions.text.withLock { $0 }
    #expect(head.contains("\r\nIf-None-Match: \"1\"\r\n"))
    #expect(head.contains("\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"))
    #expect(new.body == old.body && new.expires_ns! > old.expires_ns!)
    for (before, after) in zip(old.heads, new.heads) {
      let (before, after) = (try BackendAsker.parse(before!.bytes), try BackendAsker.parse(after!.bytes))
      #expect(before.comparableHead == after.comparableHead)
      #expect(after.values("expires") == [date])
    }
  }

  private final class Log: Sendable { let text = Mutex("") }

  @Test(arguments: [
    ["ETag: \"1\"", "Cache-Control: max-age=30"], ["ETag: \"2\""], ["X-New: field"], ["Age: 3"], ["Server: other"],
  ])
  func `a 304 that changes the head has the whole answer asked for`(fields: [String]) throws {
    let log = Requests()
    let server = TestServer { head in
      log.list.withLock { $0.append(head) }
      if head.contains("If-None-Match") {
        let lines = ["HTTP/1.1 304 Not Modified", "Date: \(CannedAnswer.now())"] + fields
        return TestServer.Reply(bytes: Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8), closes: false)
      }
      var answer = CannedAnswer()
      answer.fields.append("Cache-Control: max-age=60")
      return answer.reply(to: head)
    }
    let backend = Backend(endpoint: server.endpoint, root: nil)
    let old = try backend.compose(Self.request, watch: { _ in })
    let count = log.list.withLock { $0.count }
    _ = try backend.renew(Self.request, stored: old, watch: { _ in })
    #expect(log.list.withLock { $0.count } == 2 * count + 1, "the condition, and then everything again")
  }

  private final class Requests: Sendable { let list = Mutex<[String]>([]) }

  @Test func `a whole answer to the condition is learned anew`() throws {
    let bodies = Bodies()
    let server = TestServer { head in
      var answer = CannedAnswer()
      answer.fields.append("Cache-Control: max-age=60")
      answer.body = bodies.text.withLock { $0 }
      return answer.reply(to: head)
    }
    let backend = Backend(endpoint: server.endpoint, root: nil)
    let old = try backend.compose(Self.request, watch: { _ in })
    bodies.text.withLock { $0 = "new body" }
    let new = try backend.renew(Self.request, stored: old, watch: { _ in })
    #expect(new.body == Array("new body".utf8))
  }

  private final class Bodies: Sendable { let text = Mutex("old body") }

  @Test func `what is read back from the store is what was stored`() throws {
    let test = TestMemory()
    let store = ObjectStore(memory: test.memory, pathSeed: 1)
    for var object in [
      ComposedObject.sample("body"), try compose { answer, _ in answer.fields.append("Cache-Control: max-age=60") },
    ] {
      try store.insert(object, for: Self.request.key)
      object.expires_ns = nil
      let read = try #require(store.read(Self.request.key))
      #expect(read.heads == object.heads && read.body == object.body)
      #expect(read.ageBase_s == object.ageBase_s && read.keepAliveDiffers == object.keepAliveDiffers)
    }
  }

  // MARK: The filler

  private struct SlowOrigin: Origin {
    let gate: Gate
    func compose(_ request: ObjectRequest, watch: (NameDependency) throws -> Void) throws -> ComposedObject {
      if request.key.path == Array("/slow".utf8) { while gate.isClosed.load(ordering: .acquiring) { usleep(1000) } }
      if request.key.path == Array("/gone".utf8), gate.asked.add(1, ordering: .relaxed).oldValue > 0 {
        throw OriginRefusal.notStorable("no-store by now")
      }
      return .sample("body")
    }
  }
  private final class Gate: Sendable {
    let isClosed = Atomic<Bool>(true)
    let asked = Atomic<Int>(0)
  }

  @Test func `an answer that does not come holds up no others`() throws {
    let gate = Gate()
    let test = TestMemory()
    let store = ObjectStore(memory: test.memory, pathSeed: 1)
    var limits = FillerLimits()
    limits.threads = 2
    let filler = Filler(
      store: store, watcher: try ChangeWatcher(store: store) { _ in }, origin: SlowOrigin(gate: gate), limits: limits)
    filler.start()
    filler.miss(ObjectRequest(key: ObjectKey("/slow"), host: []))
    for number in 0..<20 { filler.miss(ObjectRequest(key: ObjectKey("/\(number)"), host: [])) }
    #expect(eventually { (0..<20).allSatisfy { store.contains(ObjectKey("/\($0)")) } })
    #expect(!store.contains(ObjectKey("/slow")))
    gate.isClosed.store(false, ordering: .releasing)
    #expect(eventually { store.contains(ObjectKey("/slow")) })
    filler.stop()
  }

  @Test func `an object whose newer answer must not be kept leaves at once`() throws {
    let gate = Gate()
    let test = TestMemory()
    let store = ObjectStore(memory: test.memory, pathSeed: 1)
    let filler = Filler(
      store: store, watcher: try ChangeWatcher(store: store) { _ in }, origin: SlowOrigin(gate: gate))
    filler.start()
    let request = ObjectRequest(key: ObjectKey("/gone"), host: [])
    filler.miss(request)
    #expect(eventually { store.contains(request.key) })
    filler.renew([request])
    #expect(eventually { !store.contains(request.key) })
    filler.stop()
  }
}
