import Foundation
import TestSupport

/// How a file is replaced.
enum Replacement: String, CaseIterable {
  /// Written beside it, then renamed over it.
  case rename
  /// The file lies in a directory reached through a symbolic link, and the link is replaced.
  case symlink
  /// Overwritten where it is, in two halves.
  case inPlace = "in place"
}

/// Files that say on each of their lines which version of which file they are, with the times at which they were
/// replaced. One thread replaces; the history is to be read afterwards.
///
/// A side-car, `.gz` beside its file, is an entry of its own: that of file f is f + the number of files. What is in it
/// says as much on each line; no server looks whether it is gzip.
final class VersionedSite {
  let directory: ScratchDirectory
  let targets: [String]
  let hasSideCars: Bool
  private let replacement: Replacement
  /// For each entry, when each of its versions was there as a whole (CLOCK_MONOTONIC). The last is the current one.
  private(set) var completed_s: [[Double]]

  private static let lines = 60

  init(files: Int, _ replacement: Replacement, hasSideCars: Bool = false) throws {
    precondition(!hasSideCars || replacement == .rename)
    self.replacement = replacement
    self.hasSideCars = hasSideCars
    directory = try ScratchDirectory("versions")
    targets = (0..<files).map { replacement == .symlink ? "/link-\($0)/page.txt" : "/file-\($0).txt" }
    completed_s = Array(repeating: [], count: hasSideCars ? files * 2 : files)
    for file in 0..<files { try replace(file) }
  }

  /// 16 bytes a line.
  private static func body(file: Int, version: Int, isCoded: Bool = false) -> [UInt8] {
    let line = (isCoded ? "z" : "v") + String(format: "%07d f%05d\n", version, file)
    return Array(String(repeating: line, count: lines).utf8)
  }

  func replace(_ file: Int) throws {
    let version = completed_s[file].count
    let body = Self.body(file: file, version: version)
    let name = String(targets[file].dropFirst())
    switch replacement {
    case .rename:
      try directory.replace(name, with: body)
      if hasSideCars {
        completed_s[file].append(monotonicSeconds())
        // After its file: a side-car that is older than that is none.
        try directory.replace(name + ".gz", with: Self.body(file: file, version: version, isCoded: true))
        completed_s[file + targets.count].append(monotonicSeconds())
        return
      }
    case .symlink:
      try directory.write(body, to: "releases/\(file)-\(version)/page.txt")
      let link = directory.path(of: "link-\(file)")
      guard Glibc.symlink("releases/\(file)-\(version)", link + ".new") == 0, rename(link + ".new", link) == 0 else {
        throw SupportError.systemCall("symlink", errno)
      }
      // Whoever followed the link a moment ago is still reading.
      if version > 2 {
        try FileManager.default.removeItem(atPath: directory.path(of: "releases/\(file)-\(version - 3)"))
      }
    case .inPlace: try overwrite(directory.path(of: name), with: body, truncates: version % 2 == 0)
    }
    completed_s[file].append(monotonicSeconds())
  }

  private func overwrite(_ path: String, with body: [UInt8], truncates: Bool) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (truncates ? O_TRUNC : 0), 0o644)
    guard descriptor >= 0 else { throw SupportError.systemCall("open", errno) }
    defer { close(descriptor) }
    let half = body.count / 2
    guard write(descriptor, body, half) == half else { throw SupportError.systemCall("write", errno) }
    pause(seconds: 0.002)
    guard write(descriptor, Array(body[half...]), body.count - half) == body.count - half else {
      throw SupportError.systemCall("write", errno)
    }
  }

  /// The version a body is, and whether that of the side-car; nil if it is not the whole of one.
  static func version(of body: ArraySlice<UInt8>, file: Int) -> (version: Int, isCoded: Bool)? {
    guard body.count == lines * 16, let first = body.first,
      let version = Int(String(decoding: body[body.startIndex + 1..<body.startIndex + 8], as: UTF8.self))
    else { return nil }
    let isCoded = first == UInt8(ascii: "z")
    return body.elementsEqual(Self.body(file: file, version: version, isCoded: isCoded)) ? (version, isCoded) : nil
  }

  /// For how long a version had been replaced at a time; not positive if it was current, nil if it was yet to come.
  func age_s(of version: Int, entry: Int, at time_s: Double) -> Double? {
    let history = completed_s[entry]
    if version >= history.count { return nil }
    return version + 1 < history.count ? time_s - history[version + 1] : 0
  }
}

/// One request for a file of a ``VersionedSite``.
struct VersionSample {
  /// The entry that was answered with; where none was, that of the file.
  var entry: Int
  var sent_s: Double
  var received_s: Double
  var outcome: Outcome
  var isFromKernelPart = false

  enum Outcome {
    case version(Int)
    /// Not wholly one version.
    case torn
    case status(Int)
    case failed(ClientFailure)
  }
}

/// Threads that ask for the files of a site until they shall stop.
final class VersionLoad {
  private let stop = StopFlag()
  private let crew: Crew<[VersionSample]>

  /// - Parameters:
  ///   - negotiates: every other request accepts gzip.
  ///   - requestsPerConnection: a connection that was handed over is the server's behind for good, so new ones are
  ///     needed to see the kernel part again.
  ///   - timeout_s: how long a client waits.
  ///   - pause_s: between two requests of a thread.
  ///   - sources: addresses of the client, taken in turn; none: the device's first.
  init(
    _ network: TestNetwork, port: UInt16 = 80, targets: [String], negotiates: Bool = false, threads: Int = 8,
    requestsPerConnection: Int = 10, timeout_s: Double = 10, pause_s: Double = 0, sources: [String] = []
  ) throws {
    let address = network.serverAddress
    crew = try Crew(threads, in: network.client) { [stop] thread in
      var samples: [VersionSample] = []
      var client: FaultClient?
      var onConnection = 0
      var file = thread * 31
      var connections = thread
      while !stop.isSet {
        file = (file + 7) % targets.count
        if onConnection == requestsPerConnection { client = nil }
        let sent_s = monotonicSeconds()
        var sample = VersionSample(entry: file, sent_s: sent_s, received_s: 0, outcome: .torn)
        do throws(ClientFailure) {
          if client == nil {
            client = try FaultClient(
              from: sources.isEmpty ? nil : sources[connections % sources.count], to: address, port: port,
              timeout_s: timeout_s)
            connections += threads
            onConnection = 0
          }
          onConnection += 1
          let answer = try client!.get(
            targets[file], closes: onConnection == requestsPerConnection,
            acceptEncoding: negotiates && onConnection % 2 == 0 ? "gzip" : nil)
          sample.isFromKernelPart = answer.isFromKernelPart
          if answer.status != 200 {
            sample.outcome = .status(answer.status)
          } else if let found = VersionedSite.version(of: answer.body, file: file) {
            sample.outcome = .version(found.version)
            if found.isCoded { sample.entry += targets.count }
          }
        } catch {
          sample.outcome = .failed(error)
          client = nil
          pause(seconds: 0.005)
        }
        sample.received_s = monotonicSeconds()
        samples.append(sample)
        if pause_s > 0 { pause(seconds: pause_s) }
      }
      return samples
    }
  }

  /// Ends the load; all its requests.
  func finish() -> [VersionSample] {
    stop.set()
    return crew.wait().flatMap { $0 }
  }
}

/// What the samples of a run come to.
struct VersionTally {
  var answers = 0
  var tornByKernelPart = 0
  var tornByServer = 0
  /// Versions that were yet to be written.
  var impossible = 0
  /// The longest a version was answered after its replacement.
  var oldest_s = 0.0
  /// Answers with a version replaced more than a second before the request was sent.
  var stale = 0
  /// From a replacement to the kernel part's first answer with the new version.
  var relearned_s: [Double] = []
  var failures: [String: Int] = [:]

  init(_ samples: [VersionSample], _ site: VersionedSite) {
    var firstHit_s: [[Double?]] = site.completed_s.map { Array(repeating: nil, count: $0.count) }
    for sample in samples {
      switch sample.outcome {
      case .version(let version):
        answers += 1
        guard let age_s = site.age_s(of: version, entry: sample.entry, at: sample.sent_s) else {
          impossible += 1
          continue
        }
        oldest_s = max(oldest_s, age_s)
        if age_s > 1 { stale += 1 }
        if sample.isFromKernelPart {
          let first_s = firstHit_s[sample.entry][version] ?? .infinity
          firstHit_s[sample.entry][version] = min(first_s, sample.received_s)
        }
      case .torn:
        answers += 1
        if sample.isFromKernelPart { tornByKernelPart += 1 } else { tornByServer += 1 }
      case .status(let status): failures["status \(status)", default: 0] += 1
      case .failed(let failure): failures[failure.description, default: 0] += 1
      }
    }
    for (hits_s, replaced_s) in zip(firstHit_s, site.completed_s) {
      relearned_s += zip(hits_s, replaced_s).dropFirst().compactMap { hit_s, replaced_s in hit_s.map { $0 - replaced_s }
      }
    }
  }

  var failureText: String {
    failures.sorted { $0.value > $1.value }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
  }
}
