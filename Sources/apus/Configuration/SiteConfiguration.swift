import ApusServer
import Yams

/// The settings that have a structure: only a file can say them. Each key is in `structures`, with what it means.
extension ConfigurationFile {
  /// Keys of `site` and of each of `hosts`, and what they mean.
  static let siteKeys: [(key: String, summary: String)] = [
    ("listing", "Whether a directory without an index is answered with a list of its files. (default: `false`)"),
    ("links-lead-out", "Whether symbolic links may lead out of the document root. (default: `false`)"),
    ("charset", "Said of text; `none`: nothing is said. (default: `utf-8`)"),
    ("media-types", "Media types by extension, in place of Apus's own: `webmanifest: application/manifest+json`."),
    (
      "headers",
      "A list of rules: `path` (a pattern), `fields` (names and values; an empty value takes a field away), and "
        + "`always: true` where errors and redirections are to carry them as well."
    ),
    (
      "redirects",
      "A list of rules: `from` (a pattern), `to` (a path or URL; `$1` is what the first `*` matched) and `status` (301, "
        + "302, 303, 307 or 308; default: 301). The first that matches counts."
    ),
    ("error-pages", "Pages for errors, by status: `404: /404.html`."),
  ]

  /// Keys of one of `hosts` beside those of a site.
  static let hostKeys: [(key: String, summary: String)] = [
    ("names", "Names of the host: `example.org`, or `*.example.org` for all below it."),
    ("directory", "The document root of these hosts."),
  ]

  static let certificateKeys: [(key: String, summary: String)] = [
    ("certificate", "Certificate chain in PEM. Clients get the one for the name they ask for, else the first."),
    ("key", "Private key in PEM, not encrypted."),
  ]

  /// Keys whose values have a structure, as `Setting.key` has it, and what they are.
  static let structures: [(key: String, summary: String)] = [
    ("tls.certificates", "A list of `certificate` and `key`."),
    ("site", "How the files of `directory` are answered with."),
    ("hosts", "A list of document roots of their own for some hosts; `directory` is for all others."),
  ]

  func certificates(_ node: Node) throws(ConfigurationFailure) -> [CertificateFiles] {
    var certificates: [CertificateFiles] = []
    for item in try list(node) {
      var files = CertificateFiles(certificate: "", key: "")
      for (name, _, value) in try pairs(of: item, keys: Self.certificateKeys.map(\.key)) {
        if name == "key" { files.key = resolved(try text(value)) }
        if name == "certificate" { files.certificate = resolved(try text(value)) }
      }
      guard !files.certificate.isEmpty, !files.key.isEmpty else {
        throw failure(at: item, "a certificate and its key are both needed")
      }
      certificates.append(files)
    }
    return certificates
  }

  func hosts(_ node: Node) throws(ConfigurationFailure) -> [VirtualHost] {
    var hosts: [VirtualHost] = []
    for item in try list(node) {
      var host = VirtualHost(names: [], directory: "")
      for (name, key, value) in try pairs(of: item, keys: (Self.hostKeys + Self.siteKeys).map(\.key)) {
        switch name {
        case "names": for name in try list(value) { host.names.append(try text(name)) }
        case "directory": host.directory = resolved(try text(value))
        default: try set(name, key, value, of: &host.site)
        }
      }
      guard !host.names.isEmpty, !host.directory.isEmpty else {
        throw failure(at: item, "a host needs names and a directory")
      }
      let checked = host
      try naming(item) { try checked.check() }
      hosts.append(host)
    }
    return hosts
  }

  func site(_ node: Node) throws(ConfigurationFailure) -> SiteSettings {
    var site = SiteSettings()
    for (name, key, value) in try pairs(of: node, keys: Self.siteKeys.map(\.key)) {
      try set(name, key, value, of: &site)
    }
    return site
  }

  /// - Parameters:
  ///   - name: one of `siteKeys`.
  ///   - key: where it stands.
  private func set(
    _ name: String, _ key: Node, _ value: Node, of site: inout SiteSettings
  ) throws(ConfigurationFailure) {
    switch name {
    case "listing": site.listing = try flag(value)
    case "links-lead-out": site.linksLeadOut = try flag(value)
    case "charset":
      let charset = try text(value)
      site.charset = charset == "none" ? nil : charset
    case "media-types": site.mediaTypes = try words(value)
    case "headers": site.headers = try headers(value)
    case "redirects": site.redirects = try redirects(value)
    case "error-pages":
      for (status, page) in try words(value) {
        guard let code = Int(status) else { throw failure(at: value, "'\(status)' is no status") }
        site.errorPages[code] = page
      }
    default: preconditionFailure("a key of a site that nothing is done with")
    }
    let checked = site
    try naming(key) { try checked.check() }
  }

  private func headers(_ node: Node) throws(ConfigurationFailure) -> [HeaderRule] {
    var rules: [HeaderRule] = []
    for item in try list(node) {
      var rule = HeaderRule("", [:])
      for (name, _, value) in try pairs(of: item, keys: ["path", "fields", "always"]) {
        switch name {
        case "path": rule.pattern = try text(value)
        case "fields": rule.fields = try words(value)
        default: rule.always = try flag(value)
        }
      }
      guard !rule.pattern.isEmpty, !rule.fields.isEmpty else {
        throw failure(at: item, "a rule for headers needs a path and fields")
      }
      let checked = rule
      try naming(item) {
        var site = SiteSettings()
        site.headers = [checked]
        try site.check()
      }
      rules.append(rule)
    }
    return rules
  }

  private func redirects(_ node: Node) throws(ConfigurationFailure) -> [RedirectRule] {
    var rules: [RedirectRule] = []
    for item in try list(node) {
      var rule = RedirectRule("", to: "")
      for (name, _, value) in try pairs(of: item, keys: ["from", "to", "status"]) {
        switch name {
        case "from": rule.pattern = try text(value)
        case "to": rule.target = try text(value)
        default: rule.status = Int(try text(value)) ?? 0
        }
      }
      guard !rule.pattern.isEmpty, !rule.target.isEmpty else {
        throw failure(at: item, "a redirect needs from and to")
      }
      let checked = rule
      try naming(item) {
        var site = SiteSettings()
        site.redirects = [checked]
        try site.check()
      }
      rules.append(rule)
    }
    return rules
  }

  /// A mapping of words to words.
  private func words(_ node: Node) throws(ConfigurationFailure) -> [String: String] {
    guard case .mapping(let mapping) = node else { throw failure(at: node, "here 'key: value' lines are needed") }
    var words: [String: String] = [:]
    for (key, value) in mapping { words[try text(key)] = try text(value) }
    return words
  }

  /// Relative paths in a file are relative to its directory: wherever Apus is started, they mean the same.
  func resolved(_ path: String) -> String {
    guard !path.hasPrefix("/"), let slash = self.path.lastIndex(of: "/") else { return path }
    return String(self.path[...slash]) + path
  }
}
