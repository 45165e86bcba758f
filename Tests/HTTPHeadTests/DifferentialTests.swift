import Contract
import HeadReference
import KernelTestSupport
import Testing

/// The fast parser against the slow one, on heads that are nearly right.
@Suite struct DifferentialTests {
  @Test("no mutated head is understood that the reference refuses, and none differently", arguments: 0..<4)
  func mutatedHeads(part: Int) {
    let memory = GuardedHead()
    var mutator = HeadMutator(seed: 2026 + UInt64(part))
    var tally = Tally()
    for round in 0..<50_000 {
      let head = mutator.next()
      tally.add(
        HeadComparison(of: head, in: memory, seed: UInt64(round), garbage: round % 64 == 0 ? .random : .previous),
        of: head)
    }
    tally.expectAgreement()
    // Else the mutations would be too wild to try anything.
    #expect(tally.accepted > 5000 && tally.refused > 100, "\(tally)")
    #expect(tally.ordered > 1000 && tally.named > 300 && tally.unmodified > 300, "\(tally)")
  }

  @Test(
    "no head the fuzzer has found is understood that the reference refuses, and none differently",
    arguments: [GuardedHead.Garbage.byte(0), .byte(0x0a), .random, .previous, .echo])
  func corpus(garbage: GuardedHead.Garbage) throws {
    let memory = GuardedHead()
    var tally = Tally()
    for (number, head) in try HeadCorpus.heads().enumerated() {
      tally.add(HeadComparison(of: head, in: memory, seed: UInt64(number), garbage: garbage), of: head)
    }
    tally.expectAgreement()
    #expect(tally.accepted > 100 && tally.refused > 60 && tally.wrong > 100, "\(tally)")
    #expect(tally.ordered > 10 && tally.named > 5 && tally.unmodified > 0, "\(tally)")
    #expect(tally.reasons.count == 13, "not every reason to refuse a head: \(tally.reasons)")
  }
}

/// What became of many heads.
private struct Tally {
  var accepted = 0
  /// Right, and refused.
  var refused = 0
  /// Refused by both.
  var wrong = 0
  /// Accepted, and Accept-Encoding asks for a coding; If-None-Match names one of the tags; the date is the one.
  var ordered = 0
  var named = 0
  var unmodified = 0
  var reasons: Set<HandoverReason> = []
  private var disagreements: [String] = []

  mutating func add(_ comparison: HeadComparison, of head: [UInt8]) {
    if let disagreement = comparison.disagreement { disagreements.append("\(disagreement): \(HeadCorpus.line(head))") }
    if case .refused(let reason) = comparison.parsed {
      reasons.insert(reason)
      if comparison.reference == nil { wrong += 1 } else { refused += 1 }
    }
    guard let meaning = comparison.meaning else { return }
    accepted += 1
    if let order = meaning.codings, order != .identityOnly { ordered += 1 }
    if meaning.namesTag.contains(true) { named += 1 }
    if meaning.isUnmodified == true { unmodified += 1 }
  }

  func expectAgreement() {
    #expect(disagreements.isEmpty, "\(disagreements.count), first: \(disagreements.prefix(3).joined(separator: "\n"))")
  }
}
