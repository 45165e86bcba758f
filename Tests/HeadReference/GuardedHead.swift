import Contract
import Glibc
import HTTPHead
import KernelTestSupport

/// A head buffer that ends where its page ends, with pages nobody may touch on both sides: a parser that reads a byte
/// too many kills the tests.
public final class GuardedHead {
  private let mapping: UnsafeMutableRawPointer
  private let byteCount: Int
  public let buffer: HeadBuffer
  private var random = SplitMix64(seed: 0xbad)

  public init() {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let inside = (HeadBuffer.byteCount + page - 1) / page * page
    byteCount = inside + 2 * page
    let made = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let made, made != MAP_FAILED else { fatalError("mmap: errno \(errno)") }
    mapping = made
    guard mprotect(made, page, PROT_NONE) == 0, mprotect(made + page + inside, page, PROT_NONE) == 0 else {
      fatalError("mprotect: errno \(errno)")
    }
    buffer = HeadBuffer(made + page + inside - HeadBuffer.byteCount)
  }

  deinit { munmap(mapping, byteCount) }

  /// Fills the whole buffer with garbage, the places of the results too, and puts the head at its front. Only the
  /// zero the parser starts from stays what it is (`HeadBuffer.zero`).
  public func load(_ head: [UInt8], garbage: Garbage) {
    precondition(head.count <= Limits.headBytesMax)
    let all = UnsafeMutableRawBufferPointer(start: buffer.base, count: HeadBuffer.byteCount)
    switch garbage {
    case .byte(let byte): for index in all.indices { all[index] = byte }
    case .random:
      for index in stride(from: 0, to: all.count, by: 8) {
        all.storeBytes(of: random.next(), toByteOffset: index, as: UInt64.self)
      }
    case .previous: break
    case .echo:
      for index in all.indices where !head.isEmpty { all[index] = head[index % head.count] }
    }
    all.storeBytes(of: 0, toByteOffset: 2258, as: UInt16.self)
    head.withUnsafeBytes { all.copyMemory(from: $0) }
    buffer.length = head.count
  }

  public enum Garbage: Sendable {
    case byte(UInt8)
    case random
    /// What the head before has left.
    case previous
    /// The head over and over: what somebody leaves who sends the longest head he can and then the short one.
    case echo
  }

  /// What the parser makes of a head. A head longer than the buffer never reaches it.
  public func parse(_ head: [UInt8], seed: UInt64 = 0, garbage: Garbage = .random) -> ParsedHead {
    guard head.count <= Limits.headBytesMax else { return .refused(.headTooLong) }
    guard head.count >= HeadBuffer.lengthMin else { return .refused(.headIncomplete) }
    load(head, garbage: garbage)
    if let reason = buffer.parse(hashSeed: seed) { return .refused(reason) }
    let bytes = UnsafeRawBufferPointer(start: buffer.base, count: head.count)
    let host = buffer.hostOffset == 0 ? nil : Array(bytes[buffer.hostOffset..<buffer.hostOffset + buffer.hostLength])
    return .accepted(
      UnderstoodHead(
        path: Array(bytes[buffer.pathOffset..<buffer.pathOffset + buffer.pathLength]), host: host,
        minorVersion: Int(buffer.minorVersion), isPersistent: buffer.isPersistent, isHead: buffer.isHead))
  }

  /// What the fields of the head that was just accepted say; the codings first, which leaves its traces in the buffer.
  public func meaning() -> FieldMeaning {
    let isRead = buffer.readCodings()
    var meaning = FieldMeaning(codings: isRead ? buffer.codingOrder : nil)
    meaning.hasAcceptEncoding = buffer.hasAcceptEncoding
    meaning.hasIfNoneMatch = buffer.hasIfNoneMatch
    meaning.hasIfModifiedSince = buffer.hasIfModifiedSince
    for (index, tag) in FieldMeaning.tags.enumerated() where buffer.hasIfNoneMatch {
      let match = Self.padded(tag) { buffer.ifNoneMatch(names: $0, length: tag.utf8.count) }
      meaning.namesTag[index] = match == Match.unclear ? nil : match == Match.yes
    }
    if buffer.hasIfModifiedSince {
      meaning.isUnmodified = Self.padded(FieldMeaning.date) { buffer.ifModifiedSince(is: $0) } ? true : nil
    }
    return meaning
  }

  private static func padded<Result>(_ text: String, _ body: (UnsafeRawPointer) -> Result) -> Result {
    (Array(text.utf8) + [UInt8](repeating: 0xa5, count: 7)).withUnsafeBytes { body($0.baseAddress!) }
  }
}

/// What both parsers say of a head they accept.
public struct UnderstoodHead: Equatable, Sendable {
  public var path: [UInt8]
  public var host: [UInt8]?
  public var minorVersion: Int
  public var isPersistent: Bool
  public var isHead: Bool

  public init(path: [UInt8], host: [UInt8]?, minorVersion: Int, isPersistent: Bool, isHead: Bool = false) {
    self.path = path
    self.host = host
    self.minorVersion = minorVersion
    self.isPersistent = isPersistent
    self.isHead = isHead
  }
}

/// What the fields say whose values are read only where they matter. `nil`: not understood, or not there.
public struct FieldMeaning: Equatable, Sendable {
  public static let tags = [
    "\"1\"", "\"5c1-0123456789abcdef\"", "\"a, b\"", "\"" + String(repeating: "t", count: 62) + "\"",
  ]
  public static let date = "Sun, 06 Nov 1994 08:49:37 GMT"

  public var codings: CodingOrder?
  /// For each of `tags`, whether If-None-Match names it.
  public var namesTag = [Bool?](repeating: nil, count: tags.count)
  /// Whether If-Modified-Since is `date`.
  public var isUnmodified: Bool?
  /// Which of these fields there are at all.
  public var hasAcceptEncoding = false
  public var hasIfNoneMatch = false
  public var hasIfModifiedSince = false

  /// Whether what is understood here is what the reference understands.
  func agrees(with reference: FieldMeaning) -> Bool {
    (codings == nil || codings == reference.codings)
      && zip(namesTag, reference.namesTag).allSatisfy { $0 == nil || $0 == $1 }
      && (isUnmodified == nil || isUnmodified == reference.isUnmodified)
      && hasAcceptEncoding == reference.hasAcceptEncoding && hasIfNoneMatch == reference.hasIfNoneMatch
      && hasIfModifiedSince == reference.hasIfModifiedSince
  }
}

public enum ParsedHead: Equatable, Sendable, CustomStringConvertible {
  case accepted(UnderstoodHead)
  case refused(HandoverReason)

  public var description: String {
    switch self {
    case .accepted(let head):
      let host = head.host.map { String(decoding: $0, as: UTF8.self) } ?? "none"
      let connection = head.isPersistent ? "persists" : "closes"
      let start = "\(head.isHead ? "HEAD " : "")1.\(head.minorVersion)"
      return "\(start) \(String(decoding: head.path, as: UTF8.self)) host \(host), \(connection)"
    case .refused(let reason): return "refused: \(reason)"
    }
  }
}
