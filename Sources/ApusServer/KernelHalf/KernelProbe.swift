import BPF
import Contract

/// Whether this machine takes the kernel part.
public enum KernelProbe {
  /// Figures of a program that was loaded.
  public struct Figures: Sendable {
    public var instructions: Int
    /// Instructions the verifier went through; it gives up at a million.
    public var verifiedInstructions: Int
    public var stack_bytes: Int
    public var loadDuration: Duration
  }

  /// Loads the kernel part, with the smallest object store, and lets it go again.
  public static func load() throws -> Figures {
    let part = try KernelPart(arenaBytes: ArenaAllocator.arenaBytesMin)
    let statistics = part.program.statistics
    return Figures(
      instructions: statistics.instructions, verifiedInstructions: statistics.processedInstructions ?? 0,
      stack_bytes: statistics.stackDepth_bytes ?? 0, loadDuration: statistics.loadDuration)
  }
}
