import BPFTestProgramObject
import Testing

@testable import BPF

/// The embedded test programs.
let testObject = Result { try ObjectFile(BPFTestProgramImage.bytes) }

@Suite struct LoadTests {
  static let packet = [UInt8](repeating: 0x21, count: 64)

  @Test(arguments: [
    "counts", "verdict", "interface_index", "reports", "loops", "calls", "arena", "doubles",
  ])
  func loads(_ name: String) throws {
    var loaded = try LoadedObject(testObject.get())
    let program = try loaded.program(name)
    print(program.statistics)
    print(try program.testRun(packet: Self.packet).returnValue)
  }
}
