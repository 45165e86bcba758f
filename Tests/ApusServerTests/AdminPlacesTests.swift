import Glibc
import Testing

@testable import ApusServer

/// Where the admin socket is when nobody says.
@Suite struct AdminPlacesTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func places(system: String, runtime: String? = nil, user: uid_t = geteuid()) -> AdminPlaces {
    var places = AdminPlaces(user: user) { ["XDG_RUNTIME_DIR": runtime, "TMPDIR": directory.path][$0] ?? nil }
    places.system = system
    return places
  }

  private var impossible: String { directory.path + "/no/such" }

  private func mode(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o777 : nil
  }

  @Test func `the system's directory comes first, and is made for its owner alone`() throws {
    let system = directory.path + "/run-apus"
    #expect(try places(system: system, runtime: directory.path).pathForServer() == system + "/admin.sock")
    #expect(mode(system) == 0o700)
    #expect(try places(system: system).pathForServer() == system + "/admin.sock", "it is there already")
  }

  @Test func `then the user's, then one with the user's number among the temporary ones`() throws {
    #expect(
      try places(system: impossible, runtime: directory.path).pathForServer() == directory.path + "/apus/admin.sock")
    #expect(mode(directory.path + "/apus") == 0o700)
    for runtime in [nil, impossible, "relative", ""] {
      let expected = directory.path + "/apus-\(geteuid())"
      #expect(try places(system: impossible, runtime: runtime).pathForServer() == expected + "/admin.sock")
      #expect(mode(expected) == 0o700)
    }
  }

  @Test func `without a temporary directory of its own it is /tmp`() {
    #expect(AdminPlaces(user: 12) { _ in nil }.temporary == "/tmp/apus-12")
    #expect(AdminPlaces(user: 12) { $0 == "TMPDIR" ? "relative" : nil }.temporary == "/tmp/apus-12")
  }

  @Test func `a directory others can write is refused`() throws {
    let name = "apus-\(geteuid())"
    try directory.makeDirectory(name)
    try #require(chmod(directory.path + "/" + name, 0o777) == 0)
    let failure = #expect(throws: AdminFailure.self) { try places(system: impossible).pathForServer() }
    #expect(failure?.description.contains(name) == true)
    #expect(failure?.description.contains("--admin") == true)
  }

  @Test func `a directory of another user is refused`() throws {
    // Seen from somebody else, every directory here is another user's.
    let other = geteuid() + 1
    try directory.makeDirectory("apus-\(other)")
    #expect(throws: AdminFailure.self) { try places(system: impossible, user: other).pathForServer() }
  }

  @Test func `a link in place of the directory is refused`() throws {
    try directory.makeDirectory("elsewhere")
    try directory.link("apus-\(geteuid())", to: "elsewhere")
    #expect(throws: AdminFailure.self) { try places(system: impossible).pathForServer() }
  }

  @Test func `a client finds the socket that is there, and makes no directory`() throws {
    let system = directory.path + "/run-apus"
    let places = places(system: system)
    let failure = #expect(throws: AdminFailure.self) { try places.pathForClient() }
    #expect(failure?.description.hasPrefix("no apus is running: no answer at \(system)/admin.sock or ") == true)
    #expect(mode(system) == nil)

    // A server of another user's may have taken a better place than the one this client would.
    let temporary = try self.places(system: impossible).pathForServer()
    let socket = try UnixSocket.make(nonBlocking: true)
    try #require(try UnixSocket.withAddress(of: temporary) { bind(socket.number, $0, $1) } == 0)
    #expect(try places.pathForClient() == temporary)
    let better = try places.pathForServer()
    let second = try UnixSocket.make(nonBlocking: true)
    try #require(try UnixSocket.withAddress(of: better) { bind(second.number, $0, $1) } == 0)
    #expect(try places.pathForClient() == better)
  }

  @Test func `a client trusts no socket in a directory others can write`() throws {
    let name = "apus-\(geteuid())"
    try directory.makeDirectory(name)
    let socket = try UnixSocket.make(nonBlocking: true)
    try #require(
      try UnixSocket.withAddress(of: "\(directory.path)/\(name)/admin.sock") { bind(socket.number, $0, $1) } == 0)
    #expect(try places(system: impossible).pathForClient() == "\(directory.path)/\(name)/admin.sock")
    try #require(chmod("\(directory.path)/\(name)", 0o777) == 0)
    #expect(throws: AdminFailure.self) { try places(system: impossible).pathForClient() }
  }
}
