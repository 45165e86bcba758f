import CBPF
import Foundation

/// The eBPF programs, maps and links a process holds, by the numbers the kernel knows them by.
public struct KernelObjects: Sendable {
  /// What a descriptor's line in /proc/PID/fdinfo is called, and the command of bpf(2) that opens such an object by its
  /// number (enum bpf_cmd).
  private static let kinds: [(line: String, command: Int32)] = [("prog_id:", 13), ("map_id:", 14), ("link_id:", 30)]

  /// By kind.
  private var numbers: [[UInt32]]

  public init(heldBy pid: pid_t) throws {
    numbers = Self.kinds.map { _ in [] }
    let directory = "/proc/\(pid)/fdinfo"
    for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
      let lines = (try? String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)) ?? ""
      for line in lines.split(separator: "\n") {
        for (index, kind) in Self.kinds.enumerated() where line.hasPrefix(kind.line) {
          if let number = UInt32(line.split(separator: "\t").last ?? "") { numbers[index].append(number) }
        }
      }
    }
  }

  /// How many programs, maps and links there are.
  public var counts: [Int] { numbers.map { Set($0).count } }

  /// Those that are still there: `map_id: 17`.
  public var remaining: [String] {
    zip(Self.kinds, numbers).flatMap { kind, numbers in
      Set(numbers).filter { Self.exists($0, kind.command) }.map { "\(kind.line) \($0)" }
    }
  }

  private static func exists(_ number: UInt32, _ command: Int32) -> Bool {
    // union bpf_attr: the number, then open_flags and what nobody needs here.
    var attributes: (UInt32, UInt32, UInt32, UInt32) = (number, 0, 0, 0)
    let descriptor = withUnsafeMutableBytes(of: &attributes) { cbpf_bpf(command, $0.baseAddress, 12) }
    if descriptor >= 0 { close(Int32(descriptor)) }
    return descriptor >= 0
  }
}
