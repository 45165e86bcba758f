import Foundation
import Testing

@testable import ApusServer

@Suite("Directory listings")
struct DirectoryListingTests {
  private let listing = DirectoryListing(
    path: Array("/a & b/".utf8),
    entries: [
      .init(name: Array("z.txt".utf8), isDirectory: false, size: 1536, modified_s: 784_111_777),
      .init(name: Array("<b>\"".utf8), isDirectory: false, size: 0, modified_s: 0),
      .init(name: Array("sub dir".utf8), isDirectory: true, size: 4096, modified_s: 0),
      .init(name: [0xff, 0x61], isDirectory: false, size: 10_000_000, modified_s: 0),
    ])

  @Test("the page has directories first, then names in order, with sizes and times, and nothing unescaped")
  func html() {
    let page = text(listing.html)
    #expect(page.contains("<title>Index of /a &amp; b/</title>"))
    let names = ["../", "sub%20dir/", "%3Cb%3E%22", "z.txt", "%FFa"]
    let places = names.map { page.range(of: "<a href=\"\($0)\">")?.lowerBound }
    #expect(!places.contains(nil))
    #expect(places.compactMap { $0 } == places.compactMap { $0 }.sorted())
    #expect(page.contains(">z.txt</a></td><td>1.5 KB</td><td>1994-11-06 08:49</td>"))
    #expect(page.contains(">&lt;b&gt;&quot;</a>") && !page.contains("<b>"))
    #expect(page.contains(">sub dir/</a></td><td></td>"))
  }

  @Test("JSON is JSON, with the same entries")
  func json() throws {
    struct Entry: Decodable, Equatable {
      var name: String
      var type: String
      var size: Int?
      var modified: String
    }
    let entries = try JSONDecoder().decode([Entry].self, from: Data(listing.json))
    #expect(entries.map(\.name) == ["sub dir", "<b>\"", "z.txt", "\u{fffd}a"])
    #expect(entries[2] == Entry(name: "z.txt", type: "file", size: 1536, modified: "1994-11-06T08:49:37Z"))
    #expect(entries[0].type == "directory" && entries[0].size == nil)
    let odd = DirectoryListing(
      path: [], entries: [.init(name: Array("a\\\n\u{1}".utf8), isDirectory: false, size: 0, modified_s: 0)])
    #expect(try JSONDecoder().decode([Entry].self, from: Data(odd.json))[0].name == "a\\\n\u{1}")
    #expect(try JSONDecoder().decode([Entry].self, from: Data(DirectoryListing(path: [], entries: []).json)).isEmpty)
  }

  @Test(
    "sizes people can read",
    arguments: [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (10_240, "10 KB"), (1 << 40, "1.0 TB")])
  func sizes(bytes: Int, expected: String) { #expect(DirectoryListing.readable(bytes) == expected) }

  @Test(
    "JSON for those who prefer it",
    arguments: [
      ("", false), ("*/*", false), ("application/json", true), ("text/html,application/json;q=0.9", false),
      ("application/json, text/html;q=0.5", true), ("application/json;q=0", false),
      ("text/html, application/json", false), ("Application/JSON ; q=1", true),
    ])
  func formats(accept: String, isJSON: Bool) {
    let format = Array(accept.utf8).withUnsafeBytes { DirectoryListing.Format(accept: $0) }
    #expect((format == .json) == isJSON)
  }
}
