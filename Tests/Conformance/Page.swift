/// Documentation/Conformance.md, made from the scripts themselves.
public enum Page {
  public static var text: String {
    let exchanges = Exchange.all
    var lines = [
      "# Conformance", "",
      "\(exchanges.count) scripted exchanges, each with the section that demands it. A script says what a client sends,",
      "what it must get, and when, in the manner of packetdrill; `Tests/Conformance/Scripts` has them all. Its packets go",
      "through packet sockets over a veth pair, or through tun, over IPv4 and over IPv6, to a running `apus serve` in",
      "kernel mode (`Tests/ConformanceTests`), and",
      "the same scripts are played before a simulated kernel and, in lockstep, before the program in the kernel on no wire",
      "(`Tests/KernelServerTests`), up to the point where the kernel's own TCP takes over.", "",
      "    swift test --filter ConformanceTests", "",
      "Of every segment of every exchange is checked that its checksums are right, that it acknowledges nothing that was",
      "not sent, that no byte of the stream differs from what was sent in its place before, that its options are those",
      "agreed on, that it comes in time, and that nothing else comes.", "",
      "This page is generated from the scripts; a test fails when it is out of date.", "",
      "## What becomes of a segment", "",
      "Exchanges for each cell of the table in ARCHITECTURE.md:", "",
    ]
    lines += matrix(exchanges)
    for chapter in Exchange.chapters {
      lines += ["", "## \(chapter.title)", "", "| exchange | demanded by | cell |", "|---|---|---|"]
      lines += chapter.exchanges.map { exchange in
        let cell = exchange.cell.map { "\($0.state.rawValue), \($0.kind.rawValue)" } ?? ""
        return "| \(exchange.name) | \(exchange.source) | \(cell) |"
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func matrix(_ exchanges: [Exchange]) -> [String] {
    let kinds = Cell.Kind.allCases
    let head = "| | " + kinds.map(\.rawValue).joined(separator: " | ") + " |"
    let rows = Cell.State.allCases.map { state in
      let counts = kinds.map { kind in "\(exchanges.count { $0.cell == .at(state, kind) })" }
      return "| **\(state.rawValue)** | " + counts.joined(separator: " | ") + " |"
    }
    return [head, String(repeating: "|---", count: kinds.count + 1) + "|"] + rows
  }
}
