import ApusServer
import ArgumentParser

/// `apus doctor`.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Find out whether kernel mode is possible here, and what is missing.",
    discussion: """
      The exit code is 0 only if kernel mode is possible for this user in this network namespace. What else has to do \
      with packets to the given addresses is told as well: rules of the packet filter, other programs, MPTCP.
      """)

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Address and port Apus would answer at; may be repeated. (default: 127.0.0.1:8080)", valueName: "addr:port"),
    transform: AddressArgument.parse)
  var listen: [ListenAddress] = []

  @Option(
    help: ArgumentHelp("The server that would be behind.", valueName: "addr:port"),
    transform: AddressArgument.parseBackend)
  var backend: ListenAddress?

  @Flag(help: "Load the kernel part and show its figures instead.")
  var program = false

  func run() throws {
    if program {
      print(FiguresText(try KernelProbe.load()).lines.joined(separator: "\n"))
      print("run time per packet: sysctl -w kernel.bpf_stats_enabled=1, then bpftool prog show name apus_ingress")
      return
    }
    let diagnosis = Diagnosis(
      Machine.examine(listen: listen.isEmpty ? [.default] : listen, backend: backend))
    for finding in diagnosis.findings { print(finding.text) }
    guard !diagnosis.isKernelModePossible else {
      print("\nKernel mode is possible.")
      return
    }
    let count = diagnosis.findings.count { $0.verdict == .missing }
    print("\nKernel mode is not possible: \(count) \(count == 1 ? "thing is" : "things are") missing.")
    throw ExitCode.failure
  }
}
