import Foundation
import Testing

@testable import apus

/// The reference page of the configuration, held against the code.
@Suite struct ConfigurationPageTests {
  private static let path = "Documentation/Configuration.md"

  /// Writes the page when told to: WRITE_DOCUMENTATION=1 swift test --filter ConfigurationPageTests
  @Test func `the page is what the settings are`() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = root.appendingPathComponent(Self.path)
    let page = Self.page
    if ProcessInfo.processInfo.environment["WRITE_DOCUMENTATION"] == "1" {
      try page.write(to: file, atomically: true, encoding: .utf8)
    }
    let isCurrent = try String(contentsOf: file, encoding: .utf8) == page
    #expect(isCurrent, "out of date; write it with WRITE_DOCUMENTATION=1 swift test --filter ConfigurationPageTests")
  }

  @Test func `the example of the page is a good configuration`() throws {
    let settings = try ConfigurationLoader(file: try ConfigurationFile(path: "/apus.yaml", text: Self.example)).load()
    try settings.validate()
    #expect(settings.hosts.count == 1 && settings.site.headers.count == 1)
  }

  @Test func `every flag of the page is one of serve, and all of serve's are there`() {
    let help = ServeCommand.helpMessage()
    let flags = Setting.all.compactMap(\.flag) + ["certificate", "key", "listing"]
    for flag in flags { #expect(help.contains("--\(flag)"), "--\(flag)") }
    let others = ["config", "verbose", "version", "help"]
    for match in help.matches(of: /--([a-z-]+)/) {
      #expect((flags + others).contains(String(match.1)), "--\(match.1) is no setting")
    }
  }

  private static let example = """
    directory: /srv/www
    listen: 192.0.2.10:80
    tls:
      listen: 192.0.2.10:443
      hsts: 31536000
      certificates:
        - {certificate: example.org.pem, key: example.org.key}
    site:
      listing: true
      headers:
        - {path: "/assets/**", fields: {Cache-Control: "public, max-age=31536000, immutable"}}
      error-pages: {404: /404.html}
    hosts:
      - names: [blog.example.org, "*.blog.example.org"]
        directory: /srv/blog
        redirects:
          - {from: /feed, to: /feed.xml, status: 308}
    access-log: {path: /var/log/apus/access.log}
    limits:
      connections-per-client: 100

    """

  private static var page: String {
    var page = """
      # Configuration

      <!-- Written by `WRITE_DOCUMENTATION=1 swift test --filter ConfigurationPageTests` from the settings in the code. -->

      `apus serve --config FILE` reads settings from a file in YAML. An environment variable stands over the file, a flag
      over both. `apus check --config FILE` looks at a file without serving by it, and names the line of what is wrong.
      `apus reload`, or SIGHUP, takes the file as it is now: connections stay open, the next request of each is answered
      by the new settings, in the kernel as well; where something is wrong the old settings hold on and the reason is said.

      ```yaml
      \(example)```

      Paths in the file are relative to the file. A list of one may be written without brackets; in an environment variable
      commas stand between the values.

      ## Values

      "Reload" says what takes effect without a restart; where something else has changed, reloading is refused.

      | Key | Value | Default | Flag | Environment | Reload |
      |---|---|---|---|---|---|

      """
    for setting in Setting.all {
      let form =
        switch setting.form {
        case .one(let form): form
        case .many(let form): "list of \(form)"
        }
      let flag = setting.flag.map { "`--\($0)`" } ?? (setting.key == "directory" ? "`DIR`" : "")
      page +=
        "| `\(setting.key)` | \(setting.summary) (\(form)) | \(setting.preset ?? "") | \(flag) "
        + "| `\(setting.environmentVariable)` | \(setting.isReloadable ? "yes" : "no") |\n"
    }
    page += """

      ## Structures

      These are for the file alone, but for certificates, which `--certificate` and `--key` name, and `--listing`. All of them can be
      reloaded.

      | Key | Value |
      |---|---|

      """
    page += rows(ConfigurationFile.structures)
    page += """

      Keys of `site` and of each of `hosts`:

      | Key | Value |
      |---|---|

      """
    page += rows(ConfigurationFile.siteKeys)
    page += "\nKeys of one of `hosts` beside these:\n\n| Key | Value |\n|---|---|\n"
    page += rows(ConfigurationFile.hostKeys)
    page += "\nKeys of one of `tls.certificates`:\n\n| Key | Value |\n|---|---|\n"
    page += rows(ConfigurationFile.certificateKeys)
    page += """

      A pattern of paths begins with a slash, or matches at any depth. `*` stands for a part of a name, `**` for anything,
      `/**/` for directories or none, `?` for one byte.

      """
    return page
  }

  private static func rows(_ keys: [(key: String, summary: String)]) -> String {
    keys.map { "| `\($0.key)` | \($0.summary) |\n" }.joined()
  }
}
