import BPFTestProgramObject
import Foundation
import Testing

@testable import BPF

/// The embedded test programs.
let testObject = Result { try ObjectFile(BPFTestProgramImage.bytes) }

/// An Ethernet frame of no protocol in particular, 64 bytes.
let testPacket = [UInt8](repeating: 0x21, count: 64)

/// A condition of the tests that load programs: where the process may not, they are skipped with the reason, but not
/// on a machine that is there to run them (CI=true).
enum KernelTesting {
  static let obstacle: String? = {
    do {
      try Features.requireSystemCall()
      return nil
    } catch {
      return "\(error)"
    }
  }()

  static let trait = ConditionTrait.enabled(
    if: obstacle == nil || ProcessInfo.processInfo.environment["CI"] == "true",
    "programs cannot be loaded here: \(obstacle ?? "")")
}

extension LoadedObject {
  /// The test programs in the kernel, with `change` made to the options.
  static func testPrograms(_ change: (inout LoadOptions) -> Void = { _ in }) throws -> LoadedObject {
    var options = LoadOptions()
    change(&options)
    return try LoadedObject(try testObject.get(), options: options)
  }
}
