import ApusServer
import ArgumentParser
import Testing

@testable import apus

/// `--access-log` as the user writes it.
@Suite struct AccessLogOptionsTests {
  private func options(_ command: String, _ arguments: [String]) throws -> AccessLogOptions? {
    switch try Apus.parseAsRoot([command] + (command == "attach" ? ["127.0.0.1:80"] : []) + arguments) {
    case let command as ServeCommand: command.options.accessLog
    case let command as AttachCommand: command.options.accessLog
    default: nil
    }
  }

  @Test(arguments: ["serve", "attach"])
  func `there is none by itself, and Combined is its format`(command: String) throws {
    #expect(try options(command, []) == nil)
    #expect(try options(command, ["--access-log", "a.log"]) == AccessLogOptions(path: "a.log", format: .combined))
    #expect(
      try options(command, ["--access-log", "-", "--access-log-format", "json"])
        == AccessLogOptions(path: "-", format: .json))
  }

  @Test(arguments: [
    (["--access-log", ""], "--access-log needs a path"),
    (
      ["--access-log", "a", "--access-log-format", "xml"], "'xml' is no format of access logs; there are combined, json"
    ),
    (
      ["--access-log-format", "json"],
      "--access-log-format is for an access log; say where it goes with --access-log"
    ),
  ])
  func `what makes no sense is refused`(arguments: [String], message: String) {
    do {
      _ = try options("serve", arguments)
      Issue.record("accepted")
    } catch {
      #expect(Apus.message(for: error).contains(message), "\(Apus.message(for: error))")
    }
  }
}
