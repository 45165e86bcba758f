import Conformance
import Foundation
import Testing

/// What is said of the scripts, and what must hold of them as a whole.
@Suite struct ConformancePageTests {
  private static let path = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Documentation/Conformance.md").standardized

  /// Writes the page when told to: WRITE_DOCUMENTATION=1 swift test --filter ConformancePageTests
  @Test func `Documentation/Conformance.md is what the scripts say`() throws {
    if ProcessInfo.processInfo.environment["WRITE_DOCUMENTATION"] == "1" {
      try Data(Page.text.utf8).write(to: Self.path)
    }
    let isCurrent = try String(contentsOf: Self.path, encoding: .utf8) == Page.text
    #expect(isCurrent, "out of date; write it with WRITE_DOCUMENTATION=1 swift test --filter ConformancePageTests")
  }

  @Test func `every cell of the table has an exchange`() {
    let cells = Set(Exchange.all.compactMap(\.cell))
    for state in Cell.State.allCases {
      for kind in Cell.Kind.allCases {
        #expect(cells.contains(.at(state, kind)), "\(state.rawValue), \(kind.rawValue)")
      }
    }
  }

  @Test func `no two exchanges have the same name`() {
    #expect(Set(Exchange.all.map(\.name)).count == Exchange.all.count)
  }

  @Test func `every exchange names a section of a document`() {
    for exchange in Exchange.all {
      #expect(exchange.source.wholeMatch(of: /RFC \d+( (section|appendix) [\dA-Z.]+)?/) != nil, "\(exchange.source)")
    }
  }
}
