/// Reads what `apus doctor --program` prints.
public enum ProgramFigures {
  /// - Returns: the first number of each line by the words before it: "stack" is 464 in `stack    464 bytes on the ...`.
  public static func parse(_ text: String) -> [String: Double] {
    var figures: [String: Double] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard let place = words.firstIndex(where: { Double($0) != nil }), place > 0 else { continue }
      figures[words[..<place].joined(separator: " ")] = Double(words[place])
    }
    return figures
  }
}
