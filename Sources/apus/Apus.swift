import ApusServer
import ArgumentParser

/// The command line. Success is exit code 0, failure 1, wrong usage 64 (EX_USAGE of sysexits.h).
@main
struct Apus: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus",
    abstract: "A web server that answers in the kernel.",
    discussion: """
      Requests for files are answered by an eBPF program where packets arrive; everything else goes to a server in \
      user mode, the built-in one or yours.
      """,
    version: "0.1.0",
    subcommands: [
      ServeCommand.self, AttachCommand.self, CheckCommand.self, ReloadCommand.self, StatusCommand.self,
      TopCommand.self, PurgeCommand.self, DoctorCommand.self,
    ])

  /// What argument-parser puts before every message, its own and those of errors a command throws.
  static var _errorPrefix: String { "apus: error: " }
}

/// The option all commands share that talk to a running server.
struct AdminOptions: ParsableArguments {
  @Option(name: .customLong("admin"), help: ArgumentHelp("Admin socket of the server.", valueName: "path"))
  var path: String?

  func validate() throws {
    if path?.isEmpty == true { throw ValidationError("--admin needs a path") }
  }

  func client() throws -> AdminClient {
    AdminClient(path: try path ?? AdminSocket.pathOfRunningServer())
  }
}
