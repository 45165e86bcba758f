import Testing

extension Exchange: CustomTestStringConvertible {
  public var testDescription: String { "\(name) (\(source))" }

  /// Reports what went wrong, at the line of the script where it did.
  public func record(_ error: any Error) {
    let line = (error as? Mismatch)?.line ?? self.line
    let location = SourceLocation(fileID: "\(file)", filePath: "\(file)", line: line, column: 1)
    Issue.record("\(testDescription): \(error)", sourceLocation: location)
  }
}
