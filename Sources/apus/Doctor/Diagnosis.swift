import ApusServer
import BPF

/// One line of what the doctor says, and how to get what is missing.
struct Finding: Equatable {
  enum Verdict: String {
    case ok, missing, warning, note
  }

  var verdict: Verdict
  var subject: String
  var remedy: String?

  static func ok(_ subject: String) -> Finding { Finding(verdict: .ok, subject: subject) }
  /// Kernel mode is impossible without it.
  static func missing(_ subject: String, _ remedy: String?) -> Finding {
    Finding(verdict: .missing, subject: subject, remedy: remedy)
  }
  static func warning(_ subject: String, _ remedy: String? = nil) -> Finding {
    Finding(verdict: .warning, subject: subject, remedy: remedy)
  }
  static func note(_ subject: String, _ remedy: String? = nil) -> Finding {
    Finding(verdict: .note, subject: subject, remedy: remedy)
  }

  /// The verdict in a column of its own, the remedy below.
  var text: String {
    let column = verdict.rawValue + String(repeating: " ", count: 9 - verdict.rawValue.count)
    let indent = "\n" + String(repeating: " ", count: 9)
    let subject = subject.split(separator: "\n").joined(separator: indent)
    return column + subject + (remedy.map { indent + "-> " + $0 } ?? "")
  }
}

/// What the facts about a machine mean for kernel mode.
struct Diagnosis {
  let findings: [Finding]

  var isKernelModePossible: Bool { !findings.contains { $0.verdict == .missing } }

  init(_ machine: Machine) {
    let mayAsk = machine.mapError == nil
    findings =
      [
        .ok("Linux \(machine.release) \(machine.architecture)"),
        Self.privileges(machine),
        Self.systemCall(machine),
        Self.programLoading(machine),
        Self.types(machine),
      ] + Self.functions(machine) + [
        Self.hook(machine, mayAsk: mayAsk),
        Self.ringBuffer(machine, mayAsk: mayAsk),
        Self.compiler(machine),
        Self.synCookies(machine),
        Self.kernelPart(machine),
      ] + machine.remarks.map { .warning($0.text, $0.remedy) } + [Self.firewall]
  }

  private static func privileges(_ machine: Machine) -> Finding {
    let remedy = """
      run as root, or: setcap cap_bpf,cap_net_admin,cap_perfmon+ep on the apus binary, or AmbientCapabilities= in its \
      systemd unit
      """
    guard let capabilities = machine.capabilities else {
      return .warning("privileges: /proc/self/status does not tell", remedy)
    }
    let missing = capabilities.missingForKernelMode
    guard missing.isEmpty else { return .missing("privileges: no \(missing.joined(separator: ", "))", remedy) }
    return .ok("privileges: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON")
  }

  /// The usual remedy, or what it can only be if all capabilities are there.
  private static func remedy(_ machine: Machine) -> String {
    guard machine.capabilities?.missingForKernelMode.isEmpty == true else { return "first get the privileges above" }
    return """
      the capabilities are there, so it is a container's seccomp profile, a user namespace or a security module that \
      forbids it
      """
  }

  private static func systemCall(_ machine: Machine) -> Finding {
    switch machine.mapError {
    case nil: .ok("bpf(2): maps can be made")
    case .missingPrivilege?: .missing("bpf(2): not permitted", remedy(machine))
    case let error?: .missing("bpf(2): \(error)", "use a kernel with CONFIG_BPF_SYSCALL")
    }
  }

  private static func programLoading(_ machine: Machine) -> Finding {
    switch machine.programError {
    case nil: .ok("bpf(2): programs can be loaded")
    case .missingPrivilege?: .missing("bpf(2): no program may be loaded", remedy(machine))
    case let error?: .missing("bpf(2): no program can be loaded: \(error)", "use a kernel with CONFIG_NET_CLS_BPF")
    }
  }

  private static func types(_ machine: Machine) -> Finding {
    guard let error = machine.typesError else { return .ok("the kernel's types: /sys/kernel/btf/vmlinux") }
    return .missing("the kernel's types: \(error)", "use a kernel with CONFIG_DEBUG_INFO_BTF, and mount /sys")
  }

  private static func functions(_ machine: Machine) -> [Finding] {
    guard machine.typesError == nil else { return [] }
    return Machine.functions.map { name in
      guard machine.missingFunctions.contains(name) else { return .ok("kernel function \(name)") }
      let remedy =
        name == "bpf_sk_assign_tcp_reqsk"
        ? "connections are handed over by it: use Linux 6.9 or newer, with CONFIG_SYN_COOKIES"
        : "use Linux 6.9 or newer"
      return .missing("kernel function \(name)", remedy)
    }
  }

  private static func unknown(_ subject: String) -> Finding {
    .warning("\(subject): unknown, the kernel does not tell this process", "first get the privileges above")
  }

  private static func hook(_ machine: Machine, mayAsk: Bool) -> Finding {
    if machine.hasTCX { return .ok("hook: tcx") }
    guard mayAsk else { return unknown("hook") }
    return .warning(
      "hook: no tcx, so clsact is used: a killed daemon leaves its filter behind, until the next start",
      "use Linux 6.6 or newer with CONFIG_NET_XGRESS")
  }

  private static func ringBuffer(_ machine: Machine, mayAsk: Bool) -> Finding {
    if machine.hasRingBuffer { return .ok("ring buffer") }
    guard mayAsk else { return unknown("ring buffer") }
    return .missing("ring buffer: misses are reported by it", "use Linux 5.8 or newer")
  }

  /// Without the compiler the verifier refuses calls of kernel functions (add_kfunc_call in kernel/bpf/verifier.c).
  private static func compiler(_ machine: Machine) -> Finding {
    switch machine.isCompiled {
    case true?: .ok("compiler: programs become machine code")
    case false?:
      .missing("compiler: off, and programs that call kernel functions need it", "sysctl -w net.core.bpf_jit_enable=1")
    case nil: .warning("compiler: unknown, /proc/sys/net/core/bpf_jit_enable cannot be read", nil)
    }
  }

  /// The kernel takes a handed-over connection for one whose handshake was a SYN cookie (cookie_bpf_check in
  /// include/net/tcp.h), and resets it where those are off.
  private static func synCookies(_ machine: Machine) -> Finding {
    switch machine.synCookies {
    case 0?:
      .missing("net.ipv4.tcp_syncookies is 0: handed-over connections are reset", "sysctl -w net.ipv4.tcp_syncookies=1")
    case let value?: .ok("net.ipv4.tcp_syncookies is \(value)")
    case nil: .warning("net.ipv4.tcp_syncookies: unknown; it must not be 0", nil)
    }
  }

  private static func kernelPart(_ machine: Machine) -> Finding {
    switch machine.load {
    case .loaded(let figures)?:
      .ok("the kernel part loads, in \(FiguresText.milliseconds(figures.loadDuration)) ms")
    case .failed(let reason, let hint)?: .missing("the kernel part does not load: \(reason)", hint)
    case nil:
      .warning("the kernel part: not tried, because no program can be loaded", "first get what is missing above")
    }
  }

  private static let firewall = Finding.note(
    """
    hits never meet the firewall's INPUT rules: a rule that drops packets to the port stops hand-overs, not hits
    connections begin for conntrack in the middle, at their hand-over: a rule that wants their SYN refuses them
    """)
}

/// The figures of the kernel part for people.
struct FiguresText {
  private(set) var lines: [String]

  init(_ figures: KernelProbe.Figures) {
    let rows = [
      ("instructions", "\(figures.instructions)"),
      ("verified instructions", "\(figures.verifiedInstructions) of 1000000"),
      ("stack", "\(figures.stack_bytes) bytes on the deepest path, of 512"),
      ("load time", "\(Self.milliseconds(figures.loadDuration)) ms"),
    ]
    lines = rows.map { $0 + String(repeating: " ", count: 24 - $0.count) + $1 }
  }

  static func milliseconds(_ duration: Duration) -> Int {
    Int(duration / .milliseconds(1))
  }
}
