import CBPF
import Foundation
import TestSupport

/// The kernel part of a daemon that runs, as the kernel knows it.
struct LoadedProgram {
  /// Commands of bpf(2) (enum bpf_cmd).
  private enum Command {
    static let testRun: Int32 = 10
    static let descriptorOfNumber: Int32 = 13
    static let enableStatistics: Int32 = 32
  }

  /// What the kernel counts while run time statistics are on.
  struct Statistics {
    var runTime_ns: Double
    var runs: Double
  }

  /// Closed with the value.
  final class Descriptor {
    let rawValue: Int32
    init(_ rawValue: Int32) { self.rawValue = rawValue }
    deinit { close(rawValue) }
  }

  private let descriptor: Descriptor

  /// - Parameter pid: of the daemon; of the programs it holds the one the verifier had most to do with is meant.
  init(heldBy pid: pid_t) throws {
    let directory = "/proc/\(pid)/fdinfo"
    let programs = try FileManager.default.contentsOfDirectory(atPath: directory).compactMap {
      name -> (Double, Double)? in
      let fields = Self.fields("\(directory)/\(name)")
      guard let number = fields["prog_id"], let verified = fields["verified_insns"] else { return nil }
      return (verified, number)
    }
    guard let number = programs.max(by: { $0.0 < $1.0 })?.1 else { throw SupportError("\(pid) holds no eBPF program") }
    // union bpf_attr: the number, then next_id and open_flags.
    var attributes: (UInt32, UInt32, UInt32, UInt32) = (UInt32(number), 0, 0, 0)
    let result = withUnsafeMutableBytes(of: &attributes) { cbpf_bpf(Command.descriptorOfNumber, $0.baseAddress, 12) }
    guard result >= 0 else { throw SupportError.systemCall("BPF_PROG_GET_FD_BY_ID", Int32(-result)) }
    descriptor = Descriptor(Int32(result))
  }

  /// Has the kernel measure every run of every program as long as the returned descriptor lives.
  static func enableStatistics() throws -> Descriptor {
    var type: UInt32 = 0  // BPF_STATS_RUN_TIME
    let result = withUnsafeMutableBytes(of: &type) { cbpf_bpf(Command.enableStatistics, $0.baseAddress, 4) }
    guard result >= 0 else { throw SupportError.systemCall("BPF_ENABLE_STATS", Int32(-result)) }
    return Descriptor(Int32(result))
  }

  /// From the descriptor's fdinfo (bpf_prog_show_fdinfo of kernel/bpf/syscall.c).
  func statistics() throws -> Statistics {
    let fields = Self.fields("/proc/self/fdinfo/\(descriptor.rawValue)")
    guard let time = fields["run_time_ns"], let runs = fields["run_cnt"] else {
      throw SupportError("this kernel does not say how often a program runs")
    }
    return Statistics(runTime_ns: time, runs: runs)
  }

  private static func fields(_ path: String) -> [String: Double] {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    let pairs = text.split(separator: "\n").compactMap { line -> (String, Double)? in
      let words = line.split(separator: "\t")
      guard words.count == 2, let value = Double(words[1]) else { return nil }
      return (String(words[0].dropLast()), value)
    }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }

  /// The fields of union bpf_attr for BPF_PROG_TEST_RUN, up to `duration` and what follows.
  private struct TestRun {
    var program: UInt32
    var returnValue: UInt32 = 0
    var inputSize: UInt32
    var outputSize: UInt32
    var input: UInt64
    var output: UInt64
    var repeatCount: UInt32 = 1
    var duration_ns: UInt32 = 0
    var contextSizeIn: UInt32 = 0
    var contextSizeOut: UInt32 = 0
    var contextIn: UInt64 = 0
    var contextOut: UInt64 = 0
  }

  /// Runs the program on a frame that came in by loopback of the calling thread's namespace (BPF_PROG_TEST_RUN).
  ///
  /// - Returns: the frame as the program leaves it, and the time it took.
  func run(_ frame: [UInt8]) throws -> (frame: [UInt8], duration_ns: Double) {
    var frame = frame
    var output = [UInt8](repeating: 0, count: 70_000)
    var attributes = TestRun(
      program: UInt32(descriptor.rawValue), inputSize: UInt32(frame.count), outputSize: UInt32(output.count), input: 0,
      output: 0)
    let result = frame.withUnsafeMutableBytes { input in
      output.withUnsafeMutableBytes { output in
        attributes.input = UInt64(UInt(bitPattern: input.baseAddress))
        attributes.output = UInt64(UInt(bitPattern: output.baseAddress))
        return withUnsafeMutableBytes(of: &attributes) { cbpf_bpf(Command.testRun, $0.baseAddress, UInt32($0.count)) }
      }
    }
    guard result >= 0 else { throw SupportError.systemCall("BPF_PROG_TEST_RUN", Int32(-result)) }
    return (Array(output[..<Int(attributes.outputSize)]), Double(attributes.duration_ns))
  }
}
