/// Field lines by path: Cache-Control, security, what an operator wants to say. A value both halves compose from.
struct HeaderRules: Sendable {
  private struct Rule {
    let pattern: PathPattern
    let fields: [(name: String, value: String)]
    let always: Bool
  }

  private let rules: [Rule]

  init() { rules = [] }

  /// - Throws: where a name or a value could not stand in a head, or the field is not a rule's to set.
  init(_ settings: [HeaderRule]) throws(InvalidSetting) {
    var rules: [Rule] = []
    for setting in settings {
      var fields: [(name: String, value: String)] = []
      for (name, value) in setting.fields.sorted(by: { $0.key < $1.key }) {
        try Self.check(name, value)
        fields.append((name, value))
      }
      rules.append(
        Rule(pattern: try PathPattern(setting.pattern), fields: fields, always: setting.always))
    }
    self.rules = rules
  }

  var isEmpty: Bool { rules.isEmpty }

  /// The field lines for answers of a path, each with its line end.
  ///
  /// - Parameters:
  ///   - path: decoded, with its leading slash; that of the file, so that `*.html` is right for `/` too.
  ///   - isError: whether it is an error or a redirection, to which only some rules apply.
  func lines(for path: [UInt8], isError: Bool = false) -> [UInt8] {
    guard !rules.isEmpty else { return [] }
    var fields: [(name: String, value: String)] = []
    for rule in rules where (rule.always || !isError) && rule.pattern.matches(path) {
      for field in rule.fields {
        let name = field.name.lowercased()
        fields.removeAll { $0.name.lowercased() == name }
        if !field.value.isEmpty { fields.append(field) }
      }
    }
    return fields.flatMap { Array("\($0.name): \($0.value)\r\n".utf8) }
  }

  /// Fields that say how an answer is framed or which representation it is. They are true as they are.
  private static let reserved: Set<String> = [
    "accept-ranges", "connection", "content-encoding", "content-length", "content-range", "content-type", "date",
    "etag", "keep-alive", "last-modified", "location", "proxy-connection", "server", "te", "trailer",
    "transfer-encoding", "upgrade",
  ]

  private static func check(_ name: String, _ value: String) throws(InvalidSetting) {
    let classes = ByteClass.shared
    guard !name.isEmpty, name.utf8.allSatisfy({ classes.contains($0, ByteClass.token) }) else {
      throw InvalidSetting("header '\(name)'", "is no field name")
    }
    guard value.utf8.allSatisfy({ classes.contains($0, ByteClass.fieldValue) }), value.first != " ", value.last != " "
    else { throw InvalidSetting("header '\(name)'", "its value has bytes or spaces that may not be in one") }
    guard !reserved.contains(name.lowercased()) else {
      throw InvalidSetting("header '\(name)'", "is not a rule's to set: Apus knows its value")
    }
  }
}
