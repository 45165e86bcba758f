/// The media type of a file by the extension of its name. Text says that it is UTF-8.
enum MediaType {
  static let unknown = "application/octet-stream"

  /// The Content-Type of a file name, or of a path that ends with one.
  static func of(name: some BidirectionalCollection<UInt8>) -> String {
    // No extension in the table is longer than this; longer ones need no string made of them.
    let lengthMax = 11
    guard let dot = name.suffix(lengthMax + 1).lastIndex(of: UInt8(ascii: ".")) else { return unknown }
    let text = name[name.index(after: dot)...].map { $0 >= 0x41 && $0 <= 0x5a ? $0 | 0x20 : $0 }
    return byExtension[String(decoding: text, as: UTF8.self)] ?? unknown
  }

  /// Whether files of this name may have side-cars (`.br`, `.zst`, `.gz`): all but those whose type is compressed as it
  /// is. It depends on nothing but the name, so that every answer for a path says the same in Vary.
  static func isNegotiated(name: some BidirectionalCollection<UInt8>) -> Bool {
    let type = of(name: name)
    if type == unknown { return !name.suffix(3).elementsEqual(".br".utf8) }
    for prefix in ["audio/", "video/"] where type.hasPrefix(prefix) { return false }
    return !compressed.contains(type)
  }

  private static let compressed: Set<String> = [
    "application/epub+zip", "application/gzip", "application/java-archive", "application/pdf",
    "application/vnd.android.package-archive", "application/vnd.debian.binary-package",
    "application/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.text",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/vnd.rar",
    "application/x-7z-compressed", "application/x-bzip2", "application/x-rpm", "application/x-xz", "application/zip",
    "application/zstd", "font/woff", "font/woff2", "image/apng", "image/avif", "image/gif", "image/heic", "image/heif",
    "image/jpeg", "image/jxl", "image/png", "image/webp",
  ]

  private static let byExtension: [String: String] = [
    // Text.
    "html": "text/html; charset=utf-8", "htm": "text/html; charset=utf-8", "shtml": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8", "cjs": "text/javascript; charset=utf-8",
    "txt": "text/plain; charset=utf-8", "text": "text/plain; charset=utf-8", "log": "text/plain; charset=utf-8",
    "conf": "text/plain; charset=utf-8", "ini": "text/plain; charset=utf-8", "md": "text/markdown; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8", "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8", "xml": "text/xml; charset=utf-8",
    "xsl": "text/xml; charset=utf-8", "ics": "text/calendar; charset=utf-8", "vcf": "text/vcard; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8", "yaml": "application/yaml", "yml": "application/yaml",
    // Data.
    "json": "application/json", "map": "application/json", "jsonld": "application/ld+json",
    "geojson": "application/geo+json", "webmanifest": "application/manifest+json", "toml": "application/toml",
    "xhtml": "application/xhtml+xml", "atom": "application/atom+xml", "rss": "application/rss+xml",
    "wasm": "application/wasm", "pdf": "application/pdf", "rtf": "application/rtf", "ps": "application/postscript",
    "epub": "application/epub+zip", "sql": "application/sql",
    // Images.
    "png": "image/png", "apng": "image/apng", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
    "webp": "image/webp", "avif": "image/avif", "jxl": "image/jxl", "heic": "image/heic", "heif": "image/heif",
    "svg": "image/svg+xml", "svgz": "image/svg+xml", "ico": "image/vnd.microsoft.icon", "bmp": "image/bmp",
    "tif": "image/tiff", "tiff": "image/tiff",
    // Fonts.
    "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf", "ttc": "font/collection",
    "eot": "application/vnd.ms-fontobject",
    // Sound and pictures that move.
    "mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "oga": "audio/ogg", "ogg": "audio/ogg",
    "opus": "audio/ogg", "wav": "audio/wav", "flac": "audio/flac", "weba": "audio/webm", "mid": "audio/midi",
    "midi": "audio/midi", "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "ogv": "video/ogg",
    "mov": "video/quicktime", "avi": "video/x-msvideo", "mkv": "video/matroska", "mpeg": "video/mpeg",
    "mpg": "video/mpeg", "ts": "video/mp2t", "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml", "glb": "model/gltf-binary", "gltf": "model/gltf+json",
    // Archives and programs.
    "zip": "application/zip", "gz": "application/gzip", "tgz": "application/gzip", "bz2": "application/x-bzip2",
    "xz": "application/x-xz", "zst": "application/zstd", "br": "application/octet-stream",
    "tar": "application/x-tar", "7z": "application/x-7z-compressed", "rar": "application/vnd.rar",
    "jar": "application/java-archive", "deb": "application/vnd.debian.binary-package",
    "rpm": "application/x-rpm", "apk": "application/vnd.android.package-archive",
    "doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "torrent": "application/x-bittorrent",
  ]
}
