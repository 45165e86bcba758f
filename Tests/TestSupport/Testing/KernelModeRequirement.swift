import CBPF
import Foundation
import Synchronization
import Testing

/// Kernel mode cannot be had here.
public struct KernelModeUnavailable: Error, CustomStringConvertible {
  public let description: String
}

extension Trait where Self == ConditionTrait {
  /// For tests that load programs into the kernel or make network namespaces. Where that is impossible they are
  /// skipped and one line says why; with CI=true that is a failure.
  public static var kernelMode: Self {
    .enabled {
      guard let obstacle = KernelModeRequirement.obstacle else { return true }
      if ProcessInfo.processInfo.environment["CI"] == "true" {
        throw KernelModeUnavailable(description: "kernel mode is impossible here: \(obstacle)")
      }
      KernelModeRequirement.announceOnce(obstacle)
      return false
    }
  }
}

enum KernelModeRequirement {
  private static let announced = Atomic<Bool>(false)

  static func announceOnce(_ obstacle: String) {
    if !announced.exchange(true, ordering: .relaxed) {
      FileHandle.standardError.write(Data("SKIP kernel tests: \(obstacle)\n".utf8))
    }
  }

  /// Why kernel tests cannot run in this process; nil if they can. Asks the kernel itself, not Apus, so that a fault
  /// of ours is never taken for a lack of the machine.
  static let obstacle: String? = {
    if geteuid() != 0 { return "not root" }
    if access("/sys/kernel/btf/vmlinux", R_OK) != 0 { return "the kernel has no BTF (/sys/kernel/btf/vmlinux)" }
    if let refusal = refusalOfTrivialProgram() { return "the kernel takes no eBPF program: \(refusal)" }
    for tool in ["ip", "nft", "nginx", "curl", "wrk", "ab"] {
      let found = searchPathWithSbin.split(separator: ":").contains { access("\($0)/\(tool)", X_OK) == 0 }
      if !found { return "\(tool) is not installed (Scripts/test installs what the tests need)" }
    }
    do {
      _ = try NetworkNamespace("probe")
    } catch {
      return "no network namespace can be made: \(error)"
    }
    return nil
  }()

  /// Loads `r0 = 0; exit` as a tc program.
  private static func refusalOfTrivialProgram() -> String? {
    let instructions: [UInt64] = [0xb7, 0x95]
    let licence = Array("GPL".utf8CString)
    return instructions.withUnsafeBytes { code in
      licence.withUnsafeBytes { licence in
        var attributes = bpf_attr()
        attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS.rawValue
        attributes.insn_cnt = UInt32(instructions.count)
        attributes.insns = UInt64(UInt(bitPattern: code.baseAddress!))
        attributes.license = UInt64(UInt(bitPattern: licence.baseAddress!))
        let size = UInt32(MemoryLayout<bpf_attr>.size)
        let descriptor = cbpf_bpf(Int32(BPF_PROG_LOAD.rawValue), &attributes, size)
        if descriptor < 0 { return String(cString: strerror(errno)) }
        close(Int32(descriptor))
        return nil
      }
    }
  }
}
