import Foundation
import TestSupport

/// A site as people have one: pages, pictures, a font, a style, a script, data, a listing and a download. Its start
/// page says by itself whether a browser has loaded all of it.
struct ClientSite: Sendable {
  /// 200 MB, most of it a hole.
  static let download = "/files/download.bin"
  static let downloadBytes = 200 << 20

  let root: String
  /// All that the start page loads, and the pages it leads to, but for the download and listings.
  let paths: [String]
  /// Those the kernel part can answer.
  let smallPaths: [String]

  static let shared: ClientSite = {
    do {
      let directory = try ScratchDirectory("clients")
      let site = try ClientSite(in: directory)
      pause(seconds: 2.5)
      kept.append(directory)
      return site
    } catch {
      fatalError("\(error)")
    }
  }()

  /// Keeps the directory as long as the process; the janitor removes it.
  nonisolated(unsafe) private static var kept: [ScratchDirectory] = []

  private static let pictureWidths = [1, 4, 16, 32, 48, 64, 66, 68, 128, 200, 256]
  /// Of Debian's fonts-dejavu-core.
  static let font = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"

  private init(in directory: ScratchDirectory) throws {
    root = directory.path
    var files: [String: [UInt8]] = [:]
    for width in Self.pictureWidths {
      files["/pictures/\(width).png"] = Picture.png(width: width, height: width)
    }
    files["/pictures/drawing.svg"] = Array(
      #"<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle cx="20" cy="20" r="9"/></svg>"#.utf8)
    files["/style.css"] = Array(
      """
      @font-face { font-family: Served; src: url("/fonts/served.ttf") }
      h1 { font-family: Served; letter-spacing: 3px }

      """.utf8)
    files["/data.json"] = Array(#"{"answer": [42]}"#.utf8)
    files["/script.js"] = Array(Self.script.utf8)
    if let font = FileManager.default.contents(atPath: Self.font) { files["/fonts/served.ttf"] = [UInt8](font) }
    for name in ["one", "two"] {
      let text = String(repeating: "<p>The \(name) page has much to say.</p>\n", count: name == "one" ? 20 : 3000)
      files["/pages/\(name).html"] = Array(
        """
        <!DOCTYPE html><html lang="en"><head><title>\(name)</title><link rel="stylesheet" href="../style.css"></head>
        <body><h1>\(name)</h1><img src="../pictures/64.png" alt=""><a href="../">back</a>
        \(text)</body></html>

        """.utf8)
    }
    files["/index.html"] = Array(Self.startPage.utf8)
    for (path, bytes) in files { try directory.write(bytes, to: String(path.dropFirst())) }
    try Self.writeDownload(directory)
    paths = files.keys.sorted()
    smallPaths = files.filter { $0.value.count < 10_000 }.keys.sorted()
  }

  /// Numbers, a hundred of them, so that a part that is out of place shows.
  private static func writeDownload(_ directory: ScratchDirectory) throws {
    try directory.write([], to: String(download.dropFirst()))
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: directory.path + download))
    try file.truncate(atOffset: UInt64(downloadBytes))
    for number in 0..<100 {
      try file.seek(toOffset: UInt64(number * 2_097_143))
      try file.write(contentsOf: Data("\(number)\n".utf8))
    }
    try file.close()
  }

  private static var startPage: String {
    let pictures = pictureWidths.map { "<img src=\"pictures/\($0).png\" data-width=\"\($0)\" alt=\"\">\n" }.joined()
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head><meta charset="utf-8"><title>Start</title>
      <link rel="icon" href="pictures/16.png">
      <link rel="stylesheet" href="style.css">
      <script src="script.js" defer></script></head>
      <body><h1>A site</h1>
      \(pictures)<img src="pictures/drawing.svg" data-width="40" alt="">
      <iframe src="pages/one.html"></iframe>
      <iframe src="pages/two.html"></iframe>
      <iframe src="files/" id="listing"></iframe>
      <a href="pages/one.html">one</a> <a href="data.json">data</a>
      <p id="verdict">nothing yet</p>
      </body></html>

      """
  }

  /// What is wrong with what has been loaded, and how it was.
  private static let script = #"""
    addEventListener("load", async () => {
      const wrong = [];
      const check = (holds, what) => { if (!holds) wrong.push(what); };
      try {
        for (const picture of document.images)
          check(picture.naturalWidth == picture.dataset.width, picture.src);
        await document.fonts.load("16px Served");
        check([...document.fonts].every(font => font.status == "loaded"), "font");
        check(getComputedStyle(document.querySelector("h1")).letterSpacing == "3px", "style");
        const data = await fetch("data.json");
        check((await data.json()).answer[0] == 42, "data");
        const part = await fetch("files/download.bin", { headers: { Range: "bytes=2097143-2097144" } });
        check(part.status == 206 && await part.text() == "1\n", "range");
        check((await fetch("none.html")).status == 404, "404");
        const frames = [...document.querySelectorAll("iframe")].map(frame => frame.contentDocument);
        check(frames[0].title == "one" && frames[0].images[0].naturalWidth == 64, "first page");
        check(frames[1].title == "two" && frames[1].querySelectorAll("p").length == 3000, "second page");
        check(frames[2].body.textContent.includes("download.bin"), "listing");
        check(frames[2].defaultView.getComputedStyle(frames[2].querySelector("table")).borderCollapse == "collapse",
          "the listing's style");
        const windows = [window, ...frames.map(frame => frame.defaultView)];
        const entries = windows.flatMap(window => window.performance.getEntriesByType("resource"));
        for (const entry of entries) {
          const expected = entry.name.endsWith("none.html") ? 404 : entry.name.endsWith("download.bin") ? 206 : 200;
          check(entry.responseStatus == expected, entry.name + " " + entry.responseStatus);
        }
        const protocols = [...new Set(entries.map(entry => entry.nextHopProtocol).filter(name => name))];
        const verdict = wrong.length ? "wrong: " + wrong.join(", ") : "all " + entries.length + " over " + protocols;
        document.getElementById("verdict").textContent = verdict;
      } catch (error) {
        document.getElementById("verdict").textContent = "wrong: " + error;
      }
    });
    """#
}

/// Pictures made by code.
enum Picture {
  /// A PNG (ISO/IEC 15948) of coloured noise, eight bits a channel, not compressed.
  static func png(width: Int, height: Int) -> [UInt8] {
    var random: UInt32 = 0x2005_1119
    var rows: [UInt8] = []
    for _ in 0..<height {
      // The filter's kind: none.
      rows.append(0)
      for _ in 0..<3 * width {
        random = random &* 1_664_525 &+ 1_013_904_223
        rows.append(UInt8(random >> 24))
      }
    }
    let header = bigEndian(UInt32(width)) + bigEndian(UInt32(height)) + [8, 2, 0, 0, 0]
    return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] + chunk("IHDR", header) + chunk("IDAT", zlib(rows))
      + chunk("IEND", [])
  }

  private static func bigEndian(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian, Array.init) }

  private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    return bigEndian(UInt32(data.count)) + body + bigEndian(checksum(body))
  }

  /// RFC 1950, with stored blocks (RFC 1951 section 3.2.4).
  private static func zlib(_ data: [UInt8]) -> [UInt8] {
    var result: [UInt8] = [0x78, 0x01]
    var rest = data[...]
    repeat {
      let block = rest.prefix(65_535)
      rest = rest.dropFirst(65_535)
      let count = UInt16(block.count)
      result.append(rest.isEmpty ? 1 : 0)
      for value in [count, ~count] { result += [UInt8(value & 255), UInt8(value >> 8)] }
      result += block
    } while !rest.isEmpty
    var (a, b): (UInt32, UInt32) = (1, 0)
    for byte in data {
      a = (a + UInt32(byte)) % 65_521
      b = (b + a) % 65_521
    }
    return result + bigEndian(b << 16 | a)
  }

  /// CRC-32 of ISO 3309.
  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
  }
}
