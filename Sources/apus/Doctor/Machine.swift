import ApusServer
import BPF
import Glibc

/// What was found out about this machine, and about what this process may do on it.
struct Machine {
  /// As uname(2) has them.
  var release = ""
  var architecture = ""
  /// Nil if /proc does not tell.
  var capabilities: Capabilities?
  /// Why this process may not make maps.
  var mapError: BPFError?
  /// Why this process may not load any program.
  var programError: BPFError?
  /// Why the kernel's types cannot be read.
  var typesError: BPFError?
  /// Kernel functions the kernel part calls that are not there.
  var missingFunctions: [String] = []
  var hasTCX = false
  var hasRingBuffer = false
  /// Whether programs are compiled to machine code; nil if that cannot be read.
  var isCompiled: Bool?
  /// net.ipv4.tcp_syncookies of this network namespace; nil if it cannot be read.
  var synCookies: Int?
  /// What else here has to do with the packets Apus would answer.
  var remarks: [Neighbourhood.Remark] = []
  /// What became of loading the kernel part; nil: it was not tried.
  var load: LoadOutcome?

  enum LoadOutcome {
    case loaded(KernelProbe.Figures)
    /// In the words of the error, and what it means if that is known.
    case failed(String, hint: String?)
  }

  /// Hand-over, and the way to `sk_buff.ip_summed`.
  static let functions = ["bpf_sk_assign_tcp_reqsk", "bpf_cast_to_kern_ctx"]

  /// Looks, and leaves nothing behind.
  ///
  /// - Parameters: where Apus would answer, and what would stand behind it.
  static func examine(listen: [ListenAddress], backend: ListenAddress?) -> Machine {
    var machine = Machine()
    var names = utsname()
    if uname(&names) == 0 {
      machine.release = text(of: names.release)
      machine.architecture = text(of: names.machine)
    }
    machine.capabilities = text(ofFile: "/proc/self/status").flatMap(Capabilities.init(processStatus:))
    do { try Features.requireSystemCall() } catch { machine.mapError = error }
    do { try Features.requireProgramLoading() } catch { machine.programError = error }
    do {
      let types = try KernelTypes()
      machine.missingFunctions = functions.filter { !types.hasFunction($0) }
    } catch {
      machine.typesError = error
    }
    machine.hasTCX = Features.hasTCX()
    machine.hasRingBuffer = Features.hasRingBuffer
    machine.isCompiled = Features.isCompiled
    machine.synCookies = text(ofFile: "/proc/sys/net/ipv4/tcp_syncookies").flatMap { Int($0.prefix { $0.isNumber }) }
    machine.remarks = Neighbourhood(interfaces: Neighbourhood.interfaces(of: listen)).remarks(
      listen: listen, backend: backend)
    machine.load = machine.programError == nil ? tryLoading() : nil
    return machine
  }

  private static func tryLoading() -> LoadOutcome {
    do {
      return .loaded(try KernelProbe.load())
    } catch BPFError.refused(let refusal) {
      return .failed(refusal.description, hint: refusal.hint)
    } catch {
      return .failed("\(error)", hint: nil)
    }
  }

  /// Of an array of characters that ends with zero.
  private static func text<Characters>(of characters: Characters) -> String {
    withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// Of a small file of /proc.
  private static func text(ofFile path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    let count = read(file, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }
}

/// Capabilities of a process (capabilities(7); numbers from include/uapi/linux/capability.h).
struct Capabilities: OptionSet, Equatable {
  var rawValue: UInt64

  static let netAdmin = Capabilities(rawValue: 1 << 12)
  static let sysAdmin = Capabilities(rawValue: 1 << 21)
  static let perfmon = Capabilities(rawValue: 1 << 38)
  static let bpf = Capabilities(rawValue: 1 << 39)

  init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The effective ones, from the text of /proc/PID/status.
  init?(processStatus: String) {
    let label = "CapEff:"
    guard let line = processStatus.split(separator: "\n").first(where: { $0.hasPrefix(label) }),
      let value = UInt64(line.dropFirst(label.count).filter { !$0.isWhitespace }, radix: 16)
    else { return nil }
    rawValue = value
  }

  /// Names of those kernel mode needs and that are not here. CAP_SYS_ADMIN implies the two that were once part of it
  /// (bpf_capable and perfmon_capable in include/linux/capability.h).
  var missingForKernelMode: [String] {
    var missing: [String] = []
    if isDisjoint(with: [.bpf, .sysAdmin]) { missing.append("CAP_BPF") }
    if !contains(.netAdmin) { missing.append("CAP_NET_ADMIN") }
    if isDisjoint(with: [.perfmon, .sysAdmin]) { missing.append("CAP_PERFMON") }
    return missing
  }
}
