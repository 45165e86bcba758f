import Contract
import HTTPHead
import HeadReference
import KernelTestSupport
import Testing

extension KernelPart {
  /// Every head the fuzzer has found, as a request, on the simulated and on the real kernel.
  @Suite struct Corpus {
    @Test("the kernel part answers no head the reference refuses, and the others as the reference has it")
    func heads() throws {
      var requests = try CorpusRequests()
      for head in try HeadCorpus.heads() { try requests.send(head) }
      // Else there would not be much in the corpus.
      #expect(requests.answered > 50 && requests.handedOver > 100, "\(requests.answered), \(requests.handedOver)")
      #expect(requests.notModified > 2 && requests.coded > 10, "\(requests.notModified), \(requests.coded)")
    }
  }
}

/// Requests to a kernel part that has an object for each of them, if it but takes it for a request.
private struct CorpusRequests {
  private var bench: Bench
  private var stored: Set<[UInt8]> = []
  private let parser = GuardedHead()

  var answered = 0
  var notModified = 0
  var coded = 0
  var handedOver = 0

  /// The store of the tests has room for some fifty objects.
  private static let objectsMax = 30

  init() throws { bench = try Self.newBench() }

  private static func newBench() throws -> Bench {
    let bench = try Bench()
    bench.ignoresMissEvents = true
    return bench
  }

  mutating func send(_ head: [UInt8]) throws {
    let comparison = HeadComparison(of: head, in: parser)
    #expect(comparison.disagreement == nil, "\(HeadCorpus.line(head))")
    let path = comparison.reference?.head.path ?? Self.roughPath(head)
    let object = Self.object(path)
    try store(object)

    // A client who has just got the cookie.
    let client = Client(bench)
    var packet = client.request(head)
    packet.acknowledgement = bench.cookie(client.local, start: client.next, size: 1460) &+ 1
    packet.sequence &+= 1
    let expected = expected(comparison, of: object)
    let outcome = try bench.send(packet)
    let check: Check
    switch expected {
    case .handedOver(let reason): check = .handedOver(reason)
    case .answered(let bytes, let closes):
      check = .response(
        bytes, sequence: packet.acknowledgement, acknowledging: packet.sequence &+ UInt32(head.count), fin: closes)
    }
    #expect(check.holds(outcome), "should be \(check.name), but is \(outcome): \(HeadCorpus.line(head))")
    // Said again without any parser's help, because it is what matters most.
    #expect(comparison.reference != nil || outcome.reply == nil, "answered: \(HeadCorpus.line(head))")
  }

  private mutating func store(_ object: StoredObject) throws {
    guard (1...Limits.pathBytesMax).contains(object.path.count), !stored.contains(object.path) else { return }
    if stored.count == Self.objectsMax {
      bench = try Self.newBench()
      stored = []
    }
    stored.insert(object.path)
    bench.store(object)
  }

  // MARK: What must be

  private enum Expected {
    case answered([UInt8], closes: Bool)
    case handedOver(HandoverReason)
  }

  /// What the reference says the answer is; where there is none, the reason is the one the parser gives on the host.
  private mutating func expected(_ comparison: HeadComparison, of object: StoredObject) -> Expected {
    guard let (head, meaning) = comparison.reference, let understood = comparison.meaning else {
      handedOver += 1
      guard case .refused(let reason) = comparison.parsed else { return .handedOver(.headMalformed) }
      return .handedOver(reason)
    }
    guard understood.codings != nil else {
      handedOver += 1
      return .handedOver(.acceptEncoding)
    }
    let coding = meaning.codings?.coding(at: 0) ?? 0
    let chosen = Self.representation(coding, of: object)
    let isUnclear =
      meaning.hasIfNoneMatch
      ? understood.namesTag[coding] == nil : meaning.hasIfModifiedSince && understood.isUnmodified == nil
    if isUnclear {
      handedOver += 1
      return .handedOver(.conditional)
    }
    answered += 1
    if coding != 0 { coded += 1 }
    let variant = (head.minorVersion == 1 ? 0 : 2) + (head.isPersistent ? 0 : 1)
    let isNotModified = meaning.hasIfNoneMatch ? meaning.namesTag[coding] == true : meaning.isUnmodified == true
    if isNotModified { notModified += 1 }
    let bytes =
      isNotModified
      ? chosen.notModified(variant) : head.isHead ? chosen.headResponse(variant) : chosen.response(variant)
    return .answered(bytes, closes: !head.isPersistent)
  }

  // MARK: Objects

  /// An object in all content codings. The representations differ in their lengths too, so that HEAD tells, and each has
  /// its own of `FieldMeaning.tags`.
  private static func object(_ path: [UInt8]) -> StoredObject {
    func page(_ coding: ContentCoding) -> StoredObject {
      var page = StoredObject.page("/", body: Array("\(coding) of ".utf8) + path)
      page.path = path
      page.tag = Array(FieldMeaning.tags[Int(coding.rawValue)].utf8)
      return page
    }
    var object = page(.identity)
    for coding in ContentCoding.allCases where coding != .identity { object.sideCars[coding] = page(coding) }
    return object
  }

  private static func representation(_ coding: Int, of object: StoredObject) -> StoredObject {
    ContentCoding(rawValue: UInt8(coding)).flatMap { object.sideCars[$0] } ?? object
  }

  /// What somebody would take for the path who looks at nothing else.
  private static func roughPath(_ head: [UInt8]) -> [UInt8] {
    Array(head.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false).dropFirst().first ?? [])
  }
}
