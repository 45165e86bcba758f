import Foundation

/// Starts a program found in PATH, in a process group of its own, with default signal handling.
///
/// - Parameters: `input`, `output`, `error` are descriptors the child gets as its 0, 1 and 2; nil is /dev/null.
/// - Returns: its process id, which is also that of its group.
func spawn(
  _ arguments: [String], environment: [String: String], input: Int32?, output: Int32?, error: Int32?
) throws -> pid_t {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  for (number, descriptor) in [input, output, error].enumerated() {
    if let descriptor {
      posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
    } else {
      posix_spawn_file_actions_addopen(&actions, Int32(number), "/dev/null", O_RDWR, 0)
    }
  }
  var attributes = posix_spawnattr_t()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  var none = sigset_t()
  var all = sigset_t()
  sigemptyset(&none)
  sigfillset(&all)
  posix_spawnattr_setsigmask(&attributes, &none)
  posix_spawnattr_setsigdefault(&attributes, &all)
  posix_spawnattr_setpgroup(&attributes, 0)
  posix_spawnattr_setflags(
    &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

  var argumentPointers = arguments.map { strdup($0) } + [nil]
  var environmentPointers = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
  defer { for pointer in argumentPointers + environmentPointers { free(pointer) } }
  var pid: pid_t = 0
  let code = posix_spawnp(&pid, arguments[0], &actions, &attributes, &argumentPointers, &environmentPointers)
  guard code == 0 else { throw SupportError.systemCall("cannot start \(arguments[0])", code) }
  return pid
}

/// How a process ended.
public enum Termination: Equatable, Sendable {
  case exited(Int32)
  case signalled(Int32)
}

/// A child process whose output is kept in files; killed with its group when the object goes away.
public final class RunningProcess {
  public let pid: pid_t
  public let arguments: [String]
  private let directory: ScratchDirectory
  private var termination: Termination?

  public init(_ arguments: [String], environment: [String: String] = [:]) throws {
    self.arguments = arguments
    directory = try ScratchDirectory("process")
    let output = open(directory.path(of: "stdout"), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o644)
    let error = open(directory.path(of: "stderr"), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o644)
    defer {
      close(output)
      close(error)
    }
    let inherited = ProcessInfo.processInfo.environment
    pid = try spawn(
      arguments, environment: inherited.merging(environment) { $1 }, input: nil, output: output, error: error)
  }

  deinit { kill() }

  public var standardOutput: String { text(of: "stdout") }
  public var standardError: String { text(of: "stderr") }

  private func text(of name: String) -> String {
    String(decoding: (try? directory.read(name)) ?? [], as: UTF8.self)
  }

  /// What the process printed so far, for messages.
  public var transcript: String {
    "\(arguments.joined(separator: " "))\n--- stdout\n\(standardOutput)--- stderr\n\(standardError)---"
  }

  /// Waits for a whole line of standard output that begins with `prefix`.
  public func waitForLine(beginning prefix: String, timeout_s: Double = 20) throws -> String {
    var found: String?
    let ready = eventually(timeout_s: timeout_s) {
      let lines = standardOutput.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      found = lines.first { $0.hasPrefix(prefix) }.map(String.init)
      return found != nil || poll() != nil
    }
    if let found { return found }
    let end = ready ? "ended (\(String(describing: poll()!)))" : "printed no such line in \(timeout_s) s"
    throw SupportError("waiting for \"\(prefix)\": the process \(end)\n\(transcript)")
  }

  public func signal(_ number: Int32) {
    if poll() == nil { Glibc.kill(pid, number) }
  }

  /// Collects the process's end if it has come.
  public func poll() -> Termination? {
    if let termination { return termination }
    var status: Int32 = 0
    guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
    let signal = status & 0x7f
    termination = signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
    return termination
  }

  /// Waits for the process to end by itself.
  public func wait(timeout_s: Double) throws -> Termination {
    guard eventually(timeout_s: timeout_s, every: 0.005, { poll() != nil }) else {
      throw SupportError("still running after \(timeout_s) s: \(transcript)")
    }
    return poll()!
  }

  /// Asks the process to end (SIGTERM) and waits for it.
  @discardableResult
  public func stop(timeout_s: Double = 10) throws -> Termination {
    signal(SIGTERM)
    return try wait(timeout_s: timeout_s)
  }

  /// Kills the process and its group and waits for it.
  public func kill() {
    guard poll() == nil else { return }
    Glibc.kill(-pid, SIGKILL)
    _ = try? wait(timeout_s: 5)
  }
}

/// What a command that ran to its end left behind.
public struct CommandResult: Sendable {
  public let arguments: [String]
  public let termination: Termination
  public let output: String
  public let error: String

  public var succeeded: Bool { termination == .exited(0) }

  /// Runs a command to its end.
  ///
  /// - Parameter timeout_s: after so many seconds it is killed and an error thrown.
  public static func run(
    _ arguments: [String], environment: [String: String] = [:], timeout_s: Double = 60
  ) throws -> CommandResult {
    let process = try RunningProcess(arguments, environment: environment)
    let termination = try process.wait(timeout_s: timeout_s)
    return CommandResult(
      arguments: arguments, termination: termination, output: process.standardOutput, error: process.standardError)
  }

  /// Itself, or an error with all it printed if it did not exit with 0.
  @discardableResult
  public func orThrow() throws -> CommandResult {
    guard succeeded else {
      throw SupportError("\(arguments.joined(separator: " ")): \(termination)\n\(error)\(output)")
    }
    return self
  }
}
