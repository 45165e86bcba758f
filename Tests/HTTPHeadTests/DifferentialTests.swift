import Contract
import KernelTestSupport
import Testing

/// The fast parser against the slow one, on heads that are nearly right.
@Suite struct DifferentialTests {
  /// What the fast parser may refuse although the head is right: it says why, and the server behind answers.
  static let allowed: Set<HandoverReason> = [
    .headMalformed, .headTooLong, .target, .hostUnknown, .connectionField, .field, .conditional, .acceptEncoding,
  ]

  @Test("no mutated head is understood that the reference refuses, and none differently", arguments: 0..<4)
  func mutatedHeads(part: Int) {
    let memory = GuardedHead()
    var mutator = HeadMutator(seed: 2026 + UInt64(part))
    var accepted = 0
    var refused: [HandoverReason: Int] = [:]
    var disagreements: [String] = []
    var ordered = 0
    var named = 0
    var unmodified = 0
    func tally(_ meaning: FieldMeaning) {
      if let order = meaning.codings, order != .identityOnly { ordered += 1 }
      if meaning.namesTag.contains(true) { named += 1 }
      if meaning.isUnmodified == true { unmodified += 1 }
    }
    for round in 0..<50_000 {
      let head = mutator.next()
      let seed = UInt64(round)
      let fast = memory.parse(head, seed: seed, garbage: round % 64 == 0 ? .random : .previous)
      let reference = try? ReferenceParser.parse(head)
      switch (fast, reference) {
      case (.accepted(let understood), let reference):
        accepted += 1
        var hash = PathHash(seed: memory.buffer.pathHash, site: 3)
        let isHashed =
          hash.finish(length: memory.buffer.pathLength) == ReferenceHash.hash(understood.path, seed: seed, site: 3)
        if understood != reference?.head || !isHashed { disagreements.append("\(fast): \(Self.text(head))") }
        let meaning = memory.meaning()
        if let reference, !meaning.agrees(with: reference.meaning) {
          disagreements.append("\(meaning), not \(reference.meaning): \(Self.text(head))")
        }
        tally(meaning)
      case (.refused(let reason), .some):
        refused[reason, default: 0] += 1
        if !Self.allowed.contains(reason) { disagreements.append("\(reason): \(Self.text(head))") }
      case (.refused, nil): break
      }
    }
    #expect(disagreements.isEmpty, "\(disagreements.count), first: \(disagreements.prefix(3).joined(separator: "\n"))")
    // Else the mutations would be too wild to try anything.
    #expect(accepted > 5000, "only \(accepted) were accepted")
    #expect(ordered > 1000 && named > 300 && unmodified > 300, "\(ordered), \(named), \(unmodified)")
    #expect(refused.values.reduce(0, +) > 100, "right heads refused: \(refused)")
  }

  private static func text(_ head: [UInt8]) -> String { String(decoding: head, as: UTF8.self).debugDescription }
}

extension FieldMeaning {
  /// Whether what is understood here is what the reference understands.
  func agrees(with reference: FieldMeaning) -> Bool {
    (codings == nil || codings == reference.codings)
      && zip(namesTag, reference.namesTag).allSatisfy { $0 == nil || $0 == $1 }
      && (isUnmodified == nil || isUnmodified == reference.isUnmodified)
  }
}
