import ApusServer
import ArgumentParser
import Testing

@testable import apus

/// `--access-log` as the user writes it.
@Suite struct AccessLogOptionsTests {
  private func options(_ command: String, _ arguments: [String]) throws -> AccessLogOptions? {
    switch try Apus.parseAsRoot([command] + (command == "attach" ? ["127.0.0.1:80"] : []) + arguments) {
    case let command as ServeCommand: command.settings(over: ServeSettings()).options.accessLog
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

  @Test func `the file names it beside itself, and flags stand over that`() throws {
    let text = "access-log: {path: logs/access.log, format: json}"
    let file = try ConfigurationFile(path: "/etc/apus/apus.yaml", text: text)
    let settings = try ConfigurationLoader(file: file).load()
    #expect(settings.options.accessLog == AccessLogOptions(path: "/etc/apus/logs/access.log", format: .json))
    let command = try Apus.parseAsRoot(["serve", "--access-log", "-"])
    let both = try #require(command as? ServeCommand).settings(over: settings)
    #expect(both.options.accessLog == AccessLogOptions(path: "-", format: .json))
    let standard = try ConfigurationFile(path: "/etc/apus/apus.yaml", text: "access-log: {path: '-'}")
    #expect(try ConfigurationLoader(file: standard).load().options.accessLog?.path == "-")
    let alone = try ConfigurationLoader(file: nil, environment: ["APUS_ACCESS_LOG_FORMAT": "json"]).load()
    #expect(throws: (any Error).self) { try alone.validate() }
  }

  @Test func `it cannot be changed without a restart`() throws {
    var old = ServeSettings().options
    old.accessLog = AccessLogOptions(path: "a")
    var new = old
    new.accessLog?.format = .json
    #expect(old.settingsFixed(comparedTo: new) == ["access-log"])
  }
}
