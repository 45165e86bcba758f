import Contract
import HTTPHead

/// What the parser and the reference make of a head, and whether the parser may make that of it.
public struct HeadComparison {
  public let parsed: ParsedHead
  /// What the fields say to the parser, if it accepts the head.
  public let meaning: FieldMeaning?
  /// What the reference makes of the head; `nil`: it refuses it.
  public let reference: (head: UnderstoodHead, meaning: FieldMeaning)?
  /// Where the parser is wrong: it accepts what the reference refuses, or accepts it as something else, or refuses a
  /// right head for a reason that cannot be. `nil`: nowhere.
  public let disagreement: String?

  /// What the parser may say when it refuses a head that is right: the server behind answers then.
  private static let reasons: Set<HandoverReason> = [
    .headMalformed, .headTooLong, .target, .hostUnknown, .connectionField, .field, .conditional, .acceptEncoding,
  ]
  /// What it may say when it refuses a head at all.
  private static let reasonsOfWrongHeads = reasons.union([
    .method, .version, .headIncomplete, .pipelined, .hostMissing,
  ])

  /// - Parameters:
  ///   - head: what is there of the request, of any length.
  ///   - seed: of the hash of the path.
  ///   - garbage: what the buffer holds behind the head.
  public init(of head: [UInt8], in memory: GuardedHead, seed: UInt64 = 0, garbage: GuardedHead.Garbage = .random) {
    let parsed = memory.parse(head, seed: seed, garbage: garbage)
    let reference = try? ReferenceParser.parse(head)
    self.parsed = parsed
    self.reference = reference
    switch parsed {
    case .accepted(let understood):
      let isHashRight = memory.finishedHash(site: 3) == ReferenceHash.hash(understood.path, seed: seed, site: 3)
      let isQuerySeen = memory.buffer.hasQuery == understood.path.contains(UInt8(ascii: "?"))
      let meaning = memory.meaning()
      self.meaning = meaning
      if let reference {
        disagreement =
          understood != reference.head
          ? "\(parsed), not \(ParsedHead.accepted(reference.head))"
          : !isHashRight
            ? "the hash of the path is wrong"
            : !isQuerySeen
              ? "the query is not seen, or is none"
              : meaning.agrees(with: reference.meaning) ? nil : "\(meaning), not \(reference.meaning)"
      } else {
        disagreement = "accepted, and the reference refuses it: \(parsed)"
      }
    case .refused(let reason):
      meaning = nil
      let mayBe = (reference == nil ? Self.reasonsOfWrongHeads : Self.reasons).contains(reason)
      disagreement = mayBe ? nil : "refused, and that cannot be why: \(reason)"
    }
  }
}

extension GuardedHead {
  /// The hash of the path of the head that was just accepted.
  public func finishedHash(site: UInt16) -> UInt64 {
    var hash = PathHash(seed: buffer.pathHash, site: site)
    return hash.finish(length: buffer.pathLength)
  }
}
