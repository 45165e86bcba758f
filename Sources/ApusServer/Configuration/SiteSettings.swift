/// Field lines for the answers of some paths.
public struct HeaderRule: Sendable, Equatable {
  /// Which paths: see `PathPattern`. `/assets/**`, `*.css`.
  public var pattern: String
  /// Names and values. Of several rules for a name the last one counts; an empty value takes the field away.
  public var fields: [String: String]
  /// Whether errors and redirections carry the fields as well: right for security, wrong for caching.
  public var always: Bool

  public init(_ pattern: String, _ fields: [String: String], always: Bool = false) {
    self.pattern = pattern
    self.fields = fields
    self.always = always
  }
}

/// Paths that are to be found elsewhere.
public struct RedirectRule: Sendable, Equatable {
  /// Which paths: see `PathPattern`.
  public var pattern: String
  /// A path, or a URL with its scheme. `$1` to `$9` stand for what the pattern's first to ninth `*` or `**` matched,
  /// `$$` for a dollar sign. The query of the request is kept unless there is one here.
  public var target: String
  /// 301, 302, 303, 307 or 308.
  public var status: Int

  public init(_ pattern: String, to target: String, status: Int = 301) {
    self.pattern = pattern
    self.target = target
    self.status = status
  }
}

/// How the files of a document root are served; the defaults are safe ones.
public struct SiteSettings: Sendable, Equatable {
  /// Whether a directory without an index is answered with a list of its files. Else it is 404.
  public var listing = false
  /// Whether symbolic links may lead out of the document root. Else what they lead to is 403.
  public var linksLeadOut = false
  /// Media types by extension, without its dot, in place of Apus's own.
  public var mediaTypes: [String: String] = [:]
  /// Said of text that does not say it itself; `nil`: nothing is said.
  public var charset: String? = "utf-8"
  public var headers: [HeaderRule] = []
  /// The first that matches counts, before files are looked for.
  public var redirects: [RedirectRule] = []
  /// Pages for errors: status codes from 400 on, and paths of files in the document root.
  public var errorPages: [Int: String] = [:]

  public init() {}
}

/// A document root of its own for some hosts.
public struct VirtualHost: Sendable, Equatable {
  /// `example.org`, or `*.example.org` for every name below it; without ports.
  public var names: [String]
  /// The document root.
  public var directory: String
  public var site: SiteSettings

  public init(names: [String], directory: String, site: SiteSettings = SiteSettings()) {
    self.names = names
    self.directory = directory
    self.site = site
  }
}

/// A setting that has no meaning. The description is a sentence for the user.
public struct InvalidSetting: Error, Equatable, CustomStringConvertible, Sendable {
  public let description: String

  init(_ setting: String, _ reason: String) { description = "\(setting): \(reason)" }
}
