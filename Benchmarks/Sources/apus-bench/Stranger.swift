import ArgumentParser
import Foundation
import Synchronization
import TestSupport

/// An ordinary process that has nothing to do with the server and shares its CPU.
///
/// What it gets done is counted, not the time the kernel says it had: what interrupts do, and with them all of the kernel
/// part, a kernel without CONFIG_IRQ_TIME_ACCOUNTING books on the process they interrupt.
final class Stranger {
  private let directory: ScratchDirectory
  private let process: RunningProcess
  private let progress: Progress
  /// Steps a second with nobody else on the CPU.
  private let alone: Double

  /// Steps in a file, which both processes have in their memory.
  struct Progress: @unchecked Sendable {
    // Atomic, and mapped as long as the process lives.
    private let steps: UnsafePointer<Atomic<UInt64>>

    init(_ path: String) throws {
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else { throw SupportError.systemCall("open \(path)", errno) }
      defer { close(descriptor) }
      guard ftruncate(descriptor, 4096) == 0,
        let memory = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
      else { throw SupportError.systemCall("mmap \(path)", errno) }
      steps = UnsafePointer(memory.assumingMemoryBound(to: Atomic<UInt64>.self))
    }

    var count: UInt64 { steps.pointee.load(ordering: .relaxed) }
    func step() { steps.pointee.wrappingAdd(1, ordering: .relaxed) }
  }

  /// Steps at a moment.
  struct Mark {
    let steps: UInt64
    let time_s: Double

    func stepsPerSecond(until other: Mark) -> Double { Double(other.steps - steps) / (other.time_s - time_s) }
  }

  private static let start_s = 0.2
  private static let alone_s = 0.3

  /// Starts it on the server's CPU, which has nothing else to do for the half second this takes.
  init(on cpus: CPUs) throws {
    directory = try ScratchDirectory("stranger")
    progress = try Progress(directory.path(of: "progress"))
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    process = try RunningProcess(
      cpus.pinnedToServer([program, StrangerCommand.name, directory.path(of: "progress")]))
    let (progress, process) = (progress, process)
    guard eventually(timeout_s: 5, { progress.count > 0 || process.poll() != nil }), process.poll() == nil else {
      throw SupportError("the process beside the server does not run: \(process.transcript)")
    }
    pause(seconds: Self.start_s)
    let start = Mark(steps: progress.count, time_s: monotonicSeconds())
    pause(seconds: Self.alone_s)
    alone = start.stepsPerSecond(until: Mark(steps: progress.count, time_s: monotonicSeconds()))
  }

  deinit { process.kill() }

  var mark: Mark { Mark(steps: progress.count, time_s: monotonicSeconds()) }

  /// The part of the CPU it has had since a mark, 0 to 1.
  func share(since start: Mark) -> Double { min(1, start.stepsPerSecond(until: mark) / alone) }
}

/// What the stranger does.
struct StrangerCommand: ParsableCommand {
  static let name = "stranger"
  static let configuration = CommandConfiguration(
    commandName: name, abstract: "Works without end, and counts how much it gets done.", shouldDisplay: false)

  @Argument(help: "A file for the number of steps, eight bytes.")
  var file: String

  /// So many that counting them is nothing beside them, and so few that a hundred thousand a second are done.
  private static let roundsOfStep = 4096

  func run() throws {
    let progress = try Stranger.Progress(file)
    var state: UInt64 = 1
    while true {
      // A generator of Knuth's (MMIX), which no compiler foresees.
      for _ in 0..<Self.roundsOfStep { state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407 }
      if state != 0 { progress.step() }
    }
  }
}
