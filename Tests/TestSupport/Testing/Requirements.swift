import Foundation
import Synchronization
import Testing

/// Something a test needs is not on this machine.
public struct RequirementMissing: Error, CustomStringConvertible {
  public let description: String
}

extension Trait where Self == ConditionTrait {
  /// For tests with programs that `Scripts/test` installs. Without them they are skipped and one line says so; with
  /// CI=true that is a failure.
  ///
  /// - Parameter names: of commands.
  public static func programs(_ names: String...) -> Self {
    .enabled {
      let missing = names.filter { name in
        !searchPathWithSbin.split(separator: ":").contains { access("\($0)/\(name)", X_OK) == 0 }
      }
      return try Requirements.hold(missing.isEmpty, "not installed: \(missing.joined(separator: ", "))")
    }
  }

  /// For tests with the Python packages of Tests/python-packages.txt, which `Scripts/test` installs below .build. The
  /// same without them.
  public static var pythonPackages: Self {
    .enabled {
      try Requirements.hold(
        PythonPackages.areInstalled, "the Python packages of Tests/python-packages.txt are not installed")
    }
  }
}

enum Requirements {
  private static let announced = Mutex<Set<String>>([])

  static func hold(_ isThere: Bool, _ obstacle: String) throws -> Bool {
    if isThere { return true }
    if ProcessInfo.processInfo.environment["CI"] == "true" { throw RequirementMissing(description: obstacle) }
    if announced.withLock({ $0.insert(obstacle).inserted }) {
      let line = "SKIP tests with clients: \(obstacle) (Scripts/test installs what the tests need)\n"
      FileHandle.standardError.write(Data(line.utf8))
    }
    return false
  }
}

/// The Python packages the tests use, in an environment of their own.
public enum PythonPackages {
  /// The environment's interpreter.
  public static let interpreter: String = {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
    return package.standardizedFileURL.path + "/.build/test-python/bin/python3"
  }()

  static let areInstalled: Bool = {
    guard access(interpreter, X_OK) == 0 else { return false }
    let result = try? CommandResult.run([interpreter, "-c", "import h2, httpx, redbot, requests"])
    return result?.succeeded ?? false
  }()
}
