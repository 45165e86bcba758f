import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// REDbot (the Resource Expert Droid) reads answers by RFC 9110 and 9111, and tries ranges, validators and codings.
  @Suite(.kernelMode, .pythonPackages) struct REDbot {
    struct Case: Encodable {
      var name: String
      var target: String
      var status: Int
      var method = "GET"
      var fields: [String: String] = [:]
      /// Notes it must have.
      var good: Set<String> = []
      /// Notes that say something is wrong where nothing is: see `exceptions`.
      var allowed: Set<String> = []
    }

    struct Finding: Decodable {
      var name: String
      var status: Int
      var problems: [String]
      var good: [String]
    }

    /// For each of REDbot's notes that the server is not changed for, why.
    private static let exceptions: Set = [
      // How long answers are fresh is the site's to say; Apus makes up nothing.
      "FRESHNESS_HEURISTIC",
      // Multipart answers must not have Content-Range in their head (RFC 9110 section 15.3.7.2); REDbot does not know
      // the media type.
      "PARTIAL_WITHOUT_RANGE",
    ]

    /// What every file is found to be.
    private static let file: Set = ["DATE_CORRECT", "CL_CORRECT", "INM_304", "IMS_304"]

    private static let later = "Thu, 01 Jan 2099 00:00:00 GMT"
    private static let cases = [
      Case(name: "page", target: "/", status: 200, good: file.union(["RANGE_CORRECT"])),
      Case(name: "large page", target: "/pages/two.html", status: 200, good: file.union(["RANGE_CORRECT"])),
      Case(name: "picture", target: "/pictures/32.png", status: 200, good: file.union(["RANGE_CORRECT"])),
      Case(name: "large picture", target: "/pictures/256.png", status: 200, good: file.union(["RANGE_CORRECT"])),
      Case(name: "drawing", target: "/pictures/drawing.svg", status: 200, good: file.union(["RANGE_CORRECT"])),
      Case(name: "empty", target: "/empty.txt", status: 200, good: file),
      Case(
        name: "precompressed", target: "/packed.css", status: 200,
        good: file.union(["RANGE_CORRECT", "CONNEG_GZIP_GOOD"])),
      Case(name: "query", target: "/pictures/32.png?version=2", status: 200, good: file),
      Case(name: "listing", target: "/files/", status: 200, good: ["DATE_CORRECT", "CL_CORRECT"]),
      Case(name: "404", target: "/none", status: 404, good: ["DATE_CORRECT", "CL_CORRECT"]),
      Case(name: "404 page", target: "/none.html", status: 404, good: ["DATE_CORRECT", "CL_CORRECT"]),
      Case(name: "directory", target: "/pages", status: 301, good: ["DATE_CORRECT", "CL_CORRECT"]),
      Case(name: "range", target: "/pictures/256.png", status: 206, fields: ["Range": "bytes=0-99"], good: file),
      Case(name: "range of a small file", target: "/style.css", status: 206, fields: ["Range": "bytes=9-"], good: file),
      Case(
        name: "two ranges", target: "/pictures/256.png", status: 206, fields: ["Range": "bytes=0-99,200-299"],
        good: file, allowed: ["PARTIAL_WITHOUT_RANGE"]),
      Case(
        name: "range that is not there", target: "/style.css", status: 416, fields: ["Range": "bytes=9999-"],
        good: ["DATE_CORRECT", "CL_CORRECT"]),
      Case(name: "not modified since", target: "/style.css", status: 304, fields: ["If-Modified-Since": later]),
      Case(name: "no other tag", target: "/style.css", status: 304, fields: ["If-None-Match": "*"]),
      Case(
        name: "precondition failed", target: "/style.css", status: 412, fields: ["If-Match": "\"none\""],
        good: ["CL_CORRECT"]),
      Case(name: "HEAD", target: "/pictures/32.png", status: 200, method: "HEAD", good: ["DATE_CORRECT"]),
      Case(name: "OPTIONS", target: "/", status: 204, method: "OPTIONS", good: ["DATE_CORRECT"]),
      Case(name: "POST", target: "/", status: 405, method: "POST", good: ["DATE_CORRECT", "CL_CORRECT"]),
    ]

    /// The site, with what REDbot is to see besides, and a configuration that says how long answers are fresh.
    private func makeSite() throws -> (ScratchDirectory, configuration: String) {
      let directory = try ScratchDirectory("redbot")
      try CommandResult.run(["cp", "-a", "--sparse=always", ClientSite.shared.root, directory.path(of: "root")])
        .orThrow()
      let style = (0..<300).map { "p.c\($0) { margin: \($0 % 7)px }\n" }.joined()
      try directory.write(style.utf8, to: "root/packed.css")
      try CommandResult.run(["gzip", "-9", "--keep", directory.path(of: "root/packed.css")]).orThrow()
      try directory.write([], to: "root/empty.txt")
      let rules =
        "site:\n  listing: true\n  headers:\n"
        + "    - {path: '**', fields: {Cache-Control: max-age=60}, always: true}\n"
      try directory.write(rules.utf8, to: "apus.yaml")
      pause(seconds: 2.5)
      return (directory, directory.path(of: "apus.yaml"))
    }

    @Test(arguments: [("kernel", true), ("kernel", false), ("user", true)])
    func `REDbot reports no problem`(mode: String, isConfigured: Bool) throws {
      let (directory, configuration) = try makeSite()
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(
          in: network, root: directory.path(of: "root"), mode: mode,
          arguments: isConfigured ? ["--config", configuration] : ["--listing"])
        if mode == "kernel" {
          // A site with rules of its own for errors has none in the kernel.
          let errors = isConfigured ? [] : ["/none", "/none.html"]
          try apus.warm(["/", "/pictures/32.png", "/style.css"] + errors, over: network)
        }
        let hits = try apus.status().hits
        let encoded = String(decoding: try JSONEncoder().encode(Self.cases), as: UTF8.self)
        let output = try network.client.run(
          [
            PythonPackages.interpreter, "-c", ClientPrograms.redbot, "http://\(network.serverAddress)", encoded,
          ]
        ).orThrow().output
        let findings = try output.split(separator: "\n").map {
          try JSONDecoder().decode(Finding.self, from: Data($0.utf8))
        }
        #expect(findings.count == Self.cases.count)
        for finding in findings {
          let expected = try #require(Self.cases.first { $0.name == finding.name })
          #expect(finding.status == expected.status, "\(finding.name)")
          #expect(expected.allowed.isSubset(of: Self.exceptions))
          let problems = Set(finding.problems).subtracting(isConfigured ? [] : ["FRESHNESS_HEURISTIC"])
          #expect(problems == expected.allowed, "\(finding.name)")
          #expect(expected.good.isSubset(of: finding.good), "\(finding.name): \(finding.good)")
        }
        let answered = try apus.status().hits - hits
        print("REDbot in \(mode) mode: \(answered) of its requests answered in the kernel")
        if mode == "kernel" { #expect(answered >= (isConfigured ? 5 : 10)) }
      }
    }
  }
}
