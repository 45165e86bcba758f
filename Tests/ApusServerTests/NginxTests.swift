import Contract
import Foundation
import Glibc
import Testing

@testable import ApusServer

/// nginx as the test's own child, serving a directory on a free port of loopback.
final class Nginx {
  let endpoint: BackendEndpoint
  private let process = Process()
  private let files = ChangingDirectory()

  /// `nil`, with one line that says so, where nginx is not installed; that is a failure in continuous integration.
  static func start(root: String, options: String = "") throws -> Nginx? {
    let candidates = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"]
    if let program = candidates.first(where: { access($0, X_OK) == 0 }) {
      return try Nginx(program: program, root: root, options: options)
    }
    print("skipped: nginx is not installed")
    if ProcessInfo.processInfo.environment["CI"] == "true" { Issue.record("nginx is not installed") }
    return nil
  }

  private init(program: String, root: String, options: String) throws {
    let (listener, endpoint) = TestServer.listen()
    // nginx binds the port a moment later.
    close(listener)
    self.endpoint = endpoint
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map { "\($0)_temp_path \(files.url($0));" }.joined(separator: " ")
    files.write(
      "nginx.conf",
      """
      daemon off; master_process off; pid \(files.url("pid")); error_log \(files.url("error")) warn;
      events { worker_connections 64; }
      http { access_log off; types { text/css css; text/html html; } \(temporary) \(options)
        server { listen \(endpoint); root \(root); index index.html; } }
      """)
    process.executableURL = URL(filePath: program)
    process.arguments = ["-p", files.path, "-c", files.url("nginx.conf"), "-e", files.url("error")]
    try process.run()
    let isUp = eventually(within_ms: 5000) { (try? BackendConnection(endpoint, timeout_ms: 1000)) != nil }
    if !isUp { Issue.record("nginx does not start") }
  }

  deinit {
    // Not SIGTERM: a child started by a thread of a pool inherits that thread's blocked signals.
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}

@Suite(.serialized) struct NginxTests {
  let root = ChangingDirectory()

  init() {
    root.makeDirectory("d")
    root.write("a.css", "body { color: red }\n")
    root.write("d/index.html", "<title>" + String(repeating: "index", count: 200) + "</title>")
    root.write("d/page.html", String(repeating: "page", count: 200))
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
  }

  private func compose(_ path: String, _ nginx: Nginx) throws -> ComposedObject {
    try Backend(endpoint: nginx.endpoint, root: root.path)
      .compose(ObjectRequest(key: ObjectKey(path), host: Array("localhost".utf8)), watch: { _ in })
  }

  @Test(arguments: ["/a.css", "/d/", "/d/page.html"]) func nginxsAnswersAreLearned(path: String) throws {
    guard let nginx = try Nginx.start(root: root.path) else { return }
    let object = try compose(path, nginx)
    for (index, connection) in ["keep-alive", "close", "keep-alive", "close"].enumerated() {
      let head = try #require(object.heads[index])
      let text = String(decoding: head.bytes, as: UTF8.self)
      #expect(text.hasPrefix("HTTP/1.1 200 OK\r\nServer: nginx"))
      #expect(text.contains("\r\nConnection: \(connection)\r\n"))
      #expect(text.contains("\r\nContent-Length: \(object.body.count)\r\n") && head.dateOffset != nil)
    }
    #expect(object.answersHead)
    guard case .repeated(let validators, let heads) = object.conditions else {
      Issue.record("nginx's 304 is not learned")
      return
    }
    #expect(validators.tag.first == UInt8(ascii: "\"") && validators.lastModified.count == 29)
    for (index, connection) in ["keep-alive", "close", "keep-alive", "close"].enumerated() {
      let text = String(decoding: try #require(heads[index]).bytes, as: UTF8.self)
      #expect(text.hasPrefix("HTTP/1.1 304 Not Modified\r\nServer: nginx"))
      #expect(text.contains("\r\nConnection: \(connection)\r\n") && !text.contains("Content-Length"))
    }
  }

  @Test func `a server without ETag says 304 by the date alone`() throws {
    guard let nginx = try Nginx.start(root: root.path, options: "etag off;") else { return }
    guard case .repeated(let validators, _) = try compose("/a.css", nginx).conditions else {
      Issue.record("nginx's 304 is not learned")
      return
    }
    #expect(validators.tag.isEmpty && validators.lastModified.count == 29)
  }

  @Test(arguments: ["", "gzip_vary on;"]) func `what nginx compresses is learned by Accept-Encoding`(options: String)
    throws
  {
    let options = "gzip on; gzip_min_length 20; \(options)"
    guard let nginx = try Nginx.start(root: root.path, options: options) else { return }
    let object = try compose("/d/page.html", nginx)
    #expect(object.encodings.count == 1 + BackendEncodings.values.count)
    for entry in object.encodings {
      let value = entry.value.map { String(decoding: $0, as: UTF8.self) }
      let isPlain = value == nil || value == "identity"
      #expect((entry.representation == 0) == isPlain, "\(value ?? "absent")")
      guard case .stored(let answer) = object.representations[entry.representation] else { continue }
      let head = String(decoding: try #require(answer.heads[0]).bytes, as: UTF8.self)
      #expect(head.contains("\r\nContent-Encoding: gzip\r\n") == !isPlain)
      #expect(head.contains("\r\nTransfer-Encoding: chunked\r\n") == !isPlain)
      #expect(head.contains("\r\nVary: Accept-Encoding\r\n") == options.contains("vary"))
      if !isPlain { #expect(answer.body.suffix(7) == Array("\r\n0\r\n\r\n".utf8)[...]) }
    }
    // No type to be compressed: one answer for everybody.
    #expect(try compose("/a.css", nginx).encodings.isEmpty)
  }

  @Test func `a file beside that nginx answers with is watched, too`() throws {
    guard let nginx = try Nginx.start(root: root.path, options: "gzip_static on;") else { return }
    root.write("a.css.gz", "compressed")
    var watched: [NameDependency] = []
    let object = try Backend(endpoint: nginx.endpoint, root: root.path).compose(
      ObjectRequest(key: ObjectKey("/a.css"), host: Array("localhost".utf8)), watch: { watched.append($0) })
    let entry = try #require(object.encodings.first { $0.value == Array("gzip".utf8) })
    guard case .stored(let answer) = object.representations[entry.representation] else {
      Issue.record("it is not stored")
      return
    }
    #expect(answer.body == Array("compressed".utf8))
    #expect(watched.contains(NameDependency(directory: root.path, name: "a.css.gz")))
  }

  @Test func fieldsThatExpireAreKeptWithTheirDateAnAgeAndAnEnd() throws {
    guard let nginx = try Nginx.start(root: root.path, options: "expires 1h;") else { return }
    let before_ns = MonotonicClock.now_ns()
    let object = try compose("/a.css", nginx)
    let expires_ns = try #require(object.expires_ns)
    #expect((before_ns + 3_590_000_000_000...before_ns + 3_620_000_000_000).contains(expires_ns))
    #expect(object.ageBase_s != nil && !object.keepAliveDiffers)
    for head in object.heads {
      let bytes = try #require(head).bytes
      let text = String(decoding: AgeField.removed(from: bytes), as: UTF8.self)
      #expect(AgeField.ends(bytes) && !text.contains("Age: "))
      #expect(text.contains("\r\nExpires: ") && text.contains("\r\nDate: ") && head!.dateOffset == nil)
    }
  }

  /// The whole way: miss, fill, answer, change, miss, fill.
  @Test func aReplacedFileIsAnsweredAnewAndNeverStale() throws {
    guard let nginx = try Nginx.start(root: root.path) else { return }
    let test = TestMemory()
    let store = ObjectStore(memory: test.memory, pathSeed: 3)
    let watcher = try ChangeWatcher(store: store) { _ in }
    let filler = Filler(store: store, watcher: watcher, origin: Backend(endpoint: nginx.endpoint, root: root.path))
    watcher.start()
    filler.start()
    defer {
      filler.stop()
      watcher.stop()
    }
    let reader = KernelReader(test: test, seed: 3)
    for round in 0..<3 {
      filler.miss(ObjectRequest(key: ObjectKey("/a.css"), host: Array("localhost".utf8)))
      try #require(eventually(within_ms: 5000) { reader.answer("/a.css") != nil })
      #expect(reader.answer("/a.css")?.body == Array((round == 0 ? "body { color: red }\n" : "round \(round)").utf8))
      root.write("next", "round \(round + 1)")
      root.rename("next", to: "a.css")
      #expect(eventually(within_ms: 1000) { reader.answer("/a.css") == nil })
    }
  }
}
