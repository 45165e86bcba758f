import BPF
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
    do { try Features.requireProgramLoading() } catch { return "the kernel takes no eBPF program: \(error)" }
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
}
