import Contract

/// How the files of a site are answered: the settings of `SiteSettings`, checked and ready. Both halves compose from it.
struct SiteRules: Sendable {
  let listing: Bool
  let linksLeadOut: Bool
  let mediaTypes: MediaTypes
  let headers: HeaderRules
  let redirects: Redirects
  /// Paths of pages in the document root.
  let errorPages: [Status: [UInt8]]

  /// The defaults.
  init() {
    listing = false
    linksLeadOut = false
    mediaTypes = MediaTypes()
    headers = HeaderRules()
    redirects = Redirects()
    errorPages = [:]
  }

  init(_ settings: SiteSettings) throws(InvalidSetting) {
    listing = settings.listing
    linksLeadOut = settings.linksLeadOut
    mediaTypes = try MediaTypes(overrides: settings.mediaTypes, charset: settings.charset)
    headers = try HeaderRules(settings.headers)
    redirects = try Redirects(settings.redirects)
    var pages: [Status: [UInt8]] = [:]
    for (code, path) in settings.errorPages {
      guard let status = Status(rawValue: code), code >= 400 else {
        throw InvalidSetting("error page of \(code)", "Apus answers no error \(code)")
      }
      guard let parsed = try? DocumentRootPath(path.utf8), !parsed.isDirectory else {
        throw InvalidSetting("error page of \(code)", "'\(path)' is no path of a file, from a slash on")
      }
      pages[status] = Array(path.utf8)
    }
    errorPages = pages
  }

  /// The answer with a file.
  ///
  /// - Parameter path: of the request.
  func response(
    for path: DocumentRootPath, metadata: FileMetadata, hasValidators: Bool = true, contentLength: Int? = nil,
    coding: ContentCoding = .identity
  ) -> FileResponse {
    let name = path.fileNames.last ?? []
    return FileResponse(
      name: name, metadata: metadata, hasValidators: hasValidators, contentLength: contentLength, coding: coding,
      mediaType: mediaTypes.of(name: name), lines: headers.isEmpty ? [] : headers.lines(for: path.filePath))
  }

  /// Whether Apus's own answers with a status are the site's, too.
  func leaves(_ status: Status) -> Bool { headers.isEmpty && errorPages[status] == nil }

  /// The redirection of a path, if it has one.
  ///
  /// - Parameter query: with its question mark, or empty.
  func redirect(_ path: DocumentRootPath, query: some Sequence<UInt8>) -> StatusResponse? {
    redirects.isEmpty ? nil : redirects.response(for: path.decoded, query: query)
  }
}

extension SiteSettings {
  /// Throws `InvalidSetting` where one has no meaning.
  public func check() throws { _ = try SiteRules(self) }
}

extension DocumentRootPath {
  /// The path decoded, each slash once.
  var decoded: [UInt8] {
    let slash = [UInt8(ascii: "/")]
    return slash + names.joined(separator: slash) + (isDirectory && !names.isEmpty ? slash : [])
  }

  /// The same of the file that is answered with.
  var filePath: [UInt8] {
    let slash = [UInt8(ascii: "/")]
    return slash + fileNames.joined(separator: slash)
  }
}
