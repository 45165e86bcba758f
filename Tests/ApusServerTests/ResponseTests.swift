import Contract
import Glibc
import Testing

@testable import ApusServer

/// Metadata of a file nobody made.
func someFile(size: Int = 5, modified_ns: Int = 784_111_777_000_000_000, changed_ns: Int? = nil) -> FileMetadata {
  var status = stat()
  status.st_size = size
  status.st_ino = 7
  status.st_nlink = 1
  status.st_mode = S_IFREG | 0o644
  status.st_mtim = timespec(tv_sec: modified_ns / 1_000_000_000, tv_nsec: modified_ns % 1_000_000_000)
  let changed_ns = changed_ns ?? modified_ns
  status.st_ctim = timespec(tv_sec: changed_ns / 1_000_000_000, tv_nsec: changed_ns % 1_000_000_000)
  return FileMetadata(status)
}

func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

@Suite("Responses")
struct ResponseTests {
  @Test("the head of a file is these bytes")
  func fileHead() {
    let file = someFile()
    let response = FileResponse(name: Array("a/hello.html".utf8), metadata: file)
    let tag = text(EntityTag(file).bytes)
    let expected = """
      HTTP/1.1 200 OK\r
      Server: Apus\r
      Date: Thu, 01 Jan 1970 00:00:00 GMT\r
      Content-Type: text/html; charset=utf-8\r
      Content-Length: 5\r
      Vary: Accept-Encoding\r
      Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r
      ETag: \(tag)\r
      Accept-Ranges: bytes\r
      Connection:
      """
    let persistent = response.head(persistent: true)
    #expect(text(persistent.bytes) == expected + " keep-alive\r\n\r\n")
    #expect(text(response.head(persistent: false).bytes) == expected + " close\r\n\r\n")
    #expect(text(persistent.bytes[persistent.dateOffset!...].prefix(29)) == "Thu, 01 Jan 1970 00:00:00 GMT")
  }

  @Test("a 304 has the validators and no content fields (RFC 9110 section 15.4.5)")
  func notModifiedHead() {
    let file = someFile()
    let head = FileResponse(name: [], metadata: file).notModifiedHead(persistent: true)
    #expect(
      text(head.bytes) == """
        HTTP/1.1 304 Not Modified\r
        Server: Apus\r
        Date: Thu, 01 Jan 1970 00:00:00 GMT\r
        Vary: Accept-Encoding\r
        Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r
        ETag: \(text(EntityTag(file).bytes))\r
        Connection: keep-alive\r
        \r

        """)
  }

  @Test("a file caught changing is answered without validators")
  func withoutValidators() {
    let head = FileResponse(name: [], metadata: someFile(), hasValidators: false, contentLength: 3)
      .head(persistent: true)
    #expect(!text(head.bytes).contains("ETag"))
    #expect(!text(head.bytes).contains("Last-Modified"))
    #expect(text(head.bytes).contains("Content-Length: 3\r\n"))
  }

  @Test("kernel heads: HTTP/1.0 and 1.1 are alike, by whether the connection persists")
  func kernelHeads() {
    let response = FileResponse(name: [], metadata: someFile())
    let heads = response.representation([UInt8](repeating: 0, count: response.contentLength)).heads
    #expect(heads.count == VariantIndex.count)
    #expect(heads[VariantIndex.persistent10] == response.head(persistent: true))
    #expect(heads[VariantIndex.persistent11] == response.head(persistent: true))
    #expect(heads[VariantIndex.closing10] == response.head(persistent: false))
    #expect(heads[VariantIndex.closing11] == response.head(persistent: false))
  }

  @Test("every error has a page of the length it says")
  func statusResponses() throws {
    for status in Status.allCases where status != .noContent && status != .notModified {
      let response = StatusResponse(status)
      let head = text(response.head(persistent: false).bytes)
      #expect(head.hasPrefix("HTTP/1.1 \(status.rawValue) \(status.reasonPhrase)\r\nServer: Apus\r\nDate: "))
      #expect(head.contains("\r\nContent-Length: \(response.body.count)\r\n"))
      #expect(head.hasSuffix("\r\nConnection: close\r\n\r\n"))
      #expect(head.contains("Allow: GET, HEAD, OPTIONS\r\n") == (status == .methodNotAllowed))
    }
  }

  @Test("204 has neither body nor Content-Length (RFC 9110 section 8.6)")
  func noContent() {
    let head = text(StatusResponse(.noContent).head(persistent: true).bytes)
    #expect(!head.contains("Content-"))
    #expect(head.contains("Allow: GET, HEAD, OPTIONS\r\n"))
  }

  @Test("entity tags differ when anything about the file does")
  func entityTags() {
    let file = someFile()
    var tags = [EntityTag(file).bytes]
    var other = file
    other.size += 1
    tags.append(EntityTag(other).bytes)
    other = file
    other.modified_ns += 1
    tags.append(EntityTag(other).bytes)
    other = file
    other.changed_ns += 1
    tags.append(EntityTag(other).bytes)
    other = file
    other.inode += 1
    tags.append(EntityTag(other).bytes)
    // Modification time 0, and two edits of such a file in one second.
    tags.append(EntityTag(someFile(modified_ns: 0, changed_ns: 1_000_000_001)).bytes)
    tags.append(EntityTag(someFile(modified_ns: 0, changed_ns: 1_000_000_002)).bytes)
    #expect(Set(tags).count == tags.count)
    for tag in tags {
      #expect(tag.first == UInt8(ascii: "\"") && tag.last == UInt8(ascii: "\""))
    }
    #expect(EntityTag(file) == EntityTag(someFile()))
  }

  @Test(
    "media types go by the extension, in any case of letters",
    arguments: [
      ("index.html", "text/html; charset=utf-8"), ("A.CSS", "text/css; charset=utf-8"),
      ("app.min.js", "text/javascript; charset=utf-8"), ("x.svg", "image/svg+xml"), ("x.woff2", "font/woff2"),
      ("x.webmanifest", "application/manifest+json"), ("x.json", "application/json"),
      ("x.wasm", "application/wasm"), ("README", "application/octet-stream"), ("x.", "application/octet-stream"),
      ("x.unknownextension", "application/octet-stream"), ("a.html/b", "application/octet-stream"),
    ])
  func mediaTypes(name: String, type: String) {
    #expect(MediaType.of(name: Array(name.utf8)) == type)
  }
}

@Suite("Conditional requests (RFC 9110 section 13)")
struct ConditionalRequestTests {
  let file = someFile(changed_ns: 784_111_900_000_000_000)
  var tag: EntityTag { EntityTag(file) }

  func evaluate(
    match: [String] = [], noneMatch: [String] = [], since: String? = nil, unmodifiedSince: String? = nil
  ) -> ConditionalRequest.Outcome {
    let request = ConditionalRequest(
      ifMatch: match.map { Array($0.utf8) }, ifNoneMatch: noneMatch.map { Array($0.utf8) },
      ifModifiedSince: since.map { Array($0.utf8) }, ifUnmodifiedSince: unmodifiedSince.map { Array($0.utf8) })
    return request.evaluate(file, tag, now: 1_795_000_000)
  }

  func isNotModified(noneMatch: [String] = [], since: String? = nil) -> Bool {
    evaluate(noneMatch: noneMatch, since: since) == .notModified
  }

  @Test("If-Match: strong comparison, the star, and it decides over If-Unmodified-Since")
  func ifMatch() {
    let own = text(tag.bytes)
    #expect(evaluate(match: [own]) == .perform)
    #expect(evaluate(match: ["\"a\"", "\"b\", \(own)"]) == .perform)
    #expect(evaluate(match: ["*"]) == .perform)
    #expect(evaluate(match: ["\"a\""]) == .failed)
    #expect(evaluate(match: ["W/\(own)"]) == .failed)
    #expect(evaluate(match: [own], unmodifiedSince: "Sun, 06 Nov 1993 08:49:37 GMT") == .perform)
    #expect(evaluate(match: [own], noneMatch: [own]) == .notModified)
    #expect(evaluate(match: ["\"a\""], noneMatch: [own]) == .failed)
  }

  @Test("If-Unmodified-Since: 412 where the file is newer")
  func ifUnmodifiedSince() {
    #expect(evaluate(unmodifiedSince: "Sun, 06 Nov 1994 08:49:37 GMT") == .perform)
    #expect(evaluate(unmodifiedSince: "Sun, 06 Nov 1994 08:49:36 GMT") == .failed)
    #expect(evaluate(unmodifiedSince: "no date") == .perform)
  }

  @Test("If-None-Match: lists, weak comparison and the star")
  func ifNoneMatch() {
    let own = text(tag.bytes)
    for value in [
      own, "W/\(own)", "*", "\"a\", \(own)", "\"a\",W/\"b\",\(own)", ", ,\(own)", "\"a,b\", \(own)",
      "\"\",\(own),\"z\"",
    ] {
      #expect(isNotModified(noneMatch: [value]), "\(value)")
    }
    for value in ["\"a\"", "", own + "x", String(own.dropLast()), "w/\(own)", "\"*\"", "*, \(own)", "x, \(own)"] {
      #expect(!isNotModified(noneMatch: [value]), "\(value)")
    }
    #expect(isNotModified(noneMatch: ["\"a\"", own]), "several field lines are one list")
  }

  @Test("If-None-Match decides where both are given (section 13.2.2)")
  func precedence() {
    #expect(!isNotModified(noneMatch: ["\"other\""], since: "Sun, 06 Nov 1994 08:49:37 GMT"))
    #expect(isNotModified(noneMatch: [text(tag.bytes)], since: "Sun, 06 Nov 1993 08:49:37 GMT"))
  }

  @Test("If-Modified-Since: the date itself, later, earlier, no date")
  func ifModifiedSince() {
    #expect(isNotModified(since: "Sun, 06 Nov 1994 08:49:37 GMT"))
    #expect(!isNotModified(since: "Sun, 06 Nov 1994 08:49:36 GMT"))
    #expect(isNotModified(since: "Mon, 07 Nov 1994 08:49:37 GMT"))
    #expect(!isNotModified(since: "yesterday"))
    #expect(!isNotModified())
  }

  @Test("an old file put in place of a newer one is not taken for unmodified")
  func olderFile() {
    // The client's copy is from 08:50; the file came at 08:51:40 with a modification time of 08:49:37.
    #expect(!isNotModified(since: "Sun, 06 Nov 1994 08:50:00 GMT"))
  }

  @Test("a modification time in the future is sent as the change time, and comes back as it was sent")
  func future() {
    let file = someFile(modified_ns: 4_000_000_000_000_000_000, changed_ns: 784_111_777_000_000_000)
    #expect(file.lastModified_s == 784_111_777)
    #expect(ConditionalRequest.isUnmodified(file, since: 784_111_777))
  }
}
