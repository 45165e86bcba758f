import Foundation

/// Parts of documents that are generated: what stands between `<!-- apus-bench NAME -->` and `<!-- /apus-bench -->`.
public enum Placeholders {
  private static let end = "<!-- /apus-bench -->"

  /// - Parameter blocks: Markdown by name. A part whose name is not among them stays as it is.
  public static func fill(_ document: String, _ blocks: [String: String]) -> String {
    blocks.reduce(document) { document, block in fill(document, block.key, block.value) }
  }

  private static func fill(_ document: String, _ name: String, _ text: String) -> String {
    let start = "<!-- apus-bench \(name) -->"
    var result = ""
    var rest = document[...]
    while let from = rest.range(of: start), let to = rest.range(of: end, range: from.upperBound..<rest.endIndex) {
      result += rest[..<from.upperBound] + "\n" + text.trimmingCharacters(in: .newlines) + "\n"
      rest = rest[to.lowerBound...]
    }
    return result + rest
  }
}

extension Report {
  /// What documents may ask for by name.
  public var blocks: [String: String] {
    var blocks = ["conditions": conditions.map { "- \($0)" }.joined(separator: "\n")]
    if !targets.isEmpty { blocks["targets"] = targetTable }
    if !micro.isEmpty { blocks["micro"] = microTable }
    for section in sections {
      let of = results.filter { $0.workload == section.id }
      if !of.isEmpty { blocks[section.id] = table(of) }
    }
    if let comparison { blocks["comparison"] = comparison + warning }
    if let headline { blocks["headline"] = headline + warning }
    return blocks
  }

  private var warning: String { caution.map { "\n\n**\($0)**" } ?? "" }

  /// Apus in kernel mode by classes of size, "faster" as the report of 2005 says it: 100 % is twice as fast.
  private var comparison: String? {
    let classes: [(String, ClosedRange<Int>)] = [
      ("small (up to 1 KB)", 0...1024), ("medium (over 1 KB, up to 14 KB)", 1025...14_400),
      ("large (64 KB and more)", 65_536...Int.max),
    ]
    let rows = classes.compactMap { name, sizes -> String? in
      let cells = [
        faster("serial", sizes, \.requestsPerSecond), faster("close", sizes, \.requestsPerSecond),
        faster("close", sizes, \.cpuPerRequest), faster("keepalive", sizes, \.requestsPerSecond),
        faster("keepalive", sizes, \.cpuPerRequest),
      ]
      return cells.allSatisfy(\.isEmpty) ? nil : "| \(name) | \(cells.joined(separator: " | ")) |"
    }
    guard !rows.isEmpty else { return nil }
    return """
      | Files | One connection after the other, as in 2005 | Many, a request each | the same by CPU per request | Many, kept | the same by CPU per request |
      |---|---|---|---|---|---|
      \(rows.joined(separator: "\n"))
      """
  }

  /// "56 % to 112 %" over the sizes of a class.
  private func faster(
    _ workload: String, _ sizes: ClosedRange<Int>, _ ratio: (BenchResult.Ratios) -> Spread?
  ) -> String {
    let gains = results.filter { $0.server == "apus" && $0.workload == workload && sizes.contains($0.size ?? -1) }
      .compactMap { $0.ratios.flatMap(ratio).map { ($0.median - 1) * 100 } }
    guard let least = gains.min(), let most = gains.max() else { return "" }
    return plain(least) == plain(most) ? "\(plain(least)) %" : "\(plain(least)) % to \(plain(most)) %"
  }

  /// Small and middling files, nginx and Apus: what a README has room for.
  private var headline: String? {
    let rows = results.filter {
      ["nginx", "apus"].contains($0.server) && ["keepalive", "close"].contains($0.workload)
        && [64, 1024, 10_240].contains($0.size ?? 0)
    }
    guard !rows.isEmpty else { return nil }
    var text =
      "| File and connections | Server | Requests/s: median (min - max) | CPU per request, µs | nginx's CPU by its own, in pairs |\n"
    text += "|---|---|---|---|---|\n"
    for row in rows {
      let how = row.workload == "keepalive" ? "kept" : "a connection per request"
      text +=
        "| \(byteCount(row.size!)), \(how) (\(row.client)) | \(row.server == "apus" ? "Apus, kernel mode" : "nginx") "
      text += "| \(range(row.spread.requestsPerSecond))"
      text += row.limitedByClient > 0 ? " \\* " : " "
      text += "| \(row.spread.cpuMicrosecondsPerRequest.map { range($0, decimals: 1) } ?? "") "
      text += "| \(row.ratios?.cpuPerRequest.map { range($0, decimals: 1) } ?? "1") |\n"
    }
    if rows.contains(where: { $0.limitedByClient > 0 }) {
      text += "\n\\* The client's CPU was the limit, not the server's: compare the CPU per request.\n"
    }
    return text
  }
}
