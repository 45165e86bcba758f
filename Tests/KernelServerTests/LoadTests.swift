import BPF
import Foundation
import KernelServerObject
import Testing

@Suite struct LoadTests {
  @Test func verifierTakesTheProgram() throws {
    let object = try ObjectFile(KernelServerImage.bytes)
    var options = LoadOptions()
    let types = try KernelTypes()
    let summed = try types.member("ip_summed", of: "sk_buff")
    options.setConstant("ipSummedOffset", to: UInt32(summed.offset_bytes))
    options.setConstant("ipSummedShift", to: UInt8(summed.offset_bits % 8))
    do {
      var loaded = try LoadedObject(object, options: options)
      let program = try loaded.program("apus_ingress")
      print("STATS", program.statistics)
      print(program.statistics)
    } catch {
      if case .refused(let refusal) = error {
        try? refusal.log.write(toFile: "/tmp/verifier.log", atomically: true, encoding: .utf8)
      }
      throw error
    }
  }
}
