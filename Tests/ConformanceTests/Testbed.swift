import Conformance
import Foundation
import KernelTestSupport
import Synchronization
import TestSupport

/// `apus serve` in kernel mode at one end of a veth pair. At the other end the clients of the scripts: packet sockets
/// with an address the client's own kernel does not have, so that it takes no part. Or at one end of a tunnel, whose other
/// end they are.
final class Testbed: @unchecked Sendable {
  enum Behind { case builtInServer, plainListener }

  static let serverMAC: [UInt8] = [2, 0, 0, 0, 0, 1]
  static let clientMAC: [UInt8] = [2, 0, 0, 0, 0, 2]
  let server: Endpoint
  let clientAddress: Endpoint
  /// The largest segment the device carries.
  let mssMax: UInt16

  let listener: PlainListener?
  private let network: TestNetwork
  private let apus: ApusProcess
  private let directory: ScratchDirectory
  private let sending: any FrameDevice
  private let distributor: FrameDistributor
  private let nextPort = Atomic<UInt16>(20_000)
  private let isOver = DispatchSemaphore(value: 0)
  private let isGone = DispatchSemaphore(value: 0)

  private static let listenerPort: UInt16 = 8082

  /// Everything a test bed consists of lives on the stack of a thread of its own, which removes it at the end.
  static func start(_ behind: Behind, _ family: Family, overTunnel: Bool = false) throws -> Testbed {
    nonisolated(unsafe) var result: Result<Testbed, any Error>?
    let ready = DispatchSemaphore(value: 0)
    let thread = Thread {
      do {
        try TestNetwork.withVeth(ipv6: family == .ipv6) { network in
          let testbed = try Testbed(network, behind, family, overTunnel: overTunnel)
          result = .success(testbed)
          ready.signal()
          testbed.isOver.wait()
          testbed.distributor.stop()
          testbed.listener?.stop()
          testbed.apus.kill()
          testbed.isGone.signal()
        }
      } catch {
        result = .failure(error)
        ready.signal()
      }
    }
    thread.start()
    ready.wait()
    return try result!.get()
  }

  func stop() {
    isOver.signal()
    isGone.wait()
  }

  private init(_ network: TestNetwork, _ behind: Behind, _ family: Family, overTunnel: Bool) throws {
    self.network = network
    // The tunnel's network is the next one.
    let subnet: UInt32 = overTunnel ? 0x0a4e_0000 : 0x0a4d_0000
    let prefix = family == .ipv6 ? Endpoint.testNetwork : nil
    server = Endpoint(subnet | 1, 80, network: prefix)
    clientAddress = Endpoint(subnet | 0x64, 0, network: prefix)
    mssMax = family == .ipv6 ? 1440 : 1460
    try Self.prepare(network, client: clientAddress)
    directory = try ScratchDirectory("conformance")
    for (path, _) in ServedFiles.sizes {
      try directory.write(ServedFiles.body(path), to: String(path.dropFirst()))
    }
    pause(seconds: 0.5)
    listener =
      behind == .plainListener
      ? try PlainListener(in: network, port: Self.listenerPort, root: directory.path) : nil
    if overTunnel {
      sending = try Self.tunnel(network, server)
      distributor = FrameDistributor(sending, client: clientAddress)
    } else {
      let sockets = try network.client.withThread { (try PacketSocket(on: "eth0"), try PacketSocket(on: "eth0")) }
      sending = sockets.0
      distributor = FrameDistributor(sockets.1, client: clientAddress)
    }
    // Over veth as well, for the kernel's own clients.
    apus = try ApusProcess(
      in: network, root: directory.path, backendPort: listener.map { _ in Self.listenerPort },
      arguments: overTunnel ? ["--listen", server.description] : [])
    try apus.warm(ServedFiles.sizes.keys.filter { $0 != ServedFiles.large }, over: network, timeout_s: 60)
    listener?.setAccepting(false)
  }

  /// Fixed hardware addresses; the server knows the scripts' client without asking; and its packets come as they would
  /// from a wire, with their checksums, in segments.
  private static func prepare(_ network: TestNetwork, client: Endpoint) throws {
    for (namespace, address) in [(network.server, "02:00:00:00:00:01"), (network.client, "02:00:00:00:00:02")] {
      try namespace.ip("link", "set", "eth0", "address", address)
      try namespace.run(["ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off"]).orThrow()
    }
    try network.server.ip("neighbour", "replace", client.host, "lladdr", "02:00:00:00:00:02", "dev", "eth0")
  }

  private static func tunnel(_ network: TestNetwork, _ server: Endpoint) throws -> Tunnel {
    let tunnel = try network.server.withThread { try Tunnel("tun0") }
    let address = server.host + (server.isIPv6 ? "/112" : "/24")
    try network.server.ip("address", "add", address, "dev", "tun0")
    try network.server.ip("link", "set", "tun0", "up")
    return tunnel
  }

  /// A place for one script: a connection of its own.
  func newWorld() -> LiveWorld {
    let port = nextPort.add(1, ordering: .relaxed).newValue
    return LiveWorld(
      self, client: Endpoint(clientAddress.address, port, network: clientAddress.network), sending: sending,
      mailbox: distributor.mailbox(for: port))
  }

  /// Gives a file other bytes. When a client of the kernel's gets them, the kernel part no longer has the old ones.
  func replace(_ path: String) throws {
    let bytes = ServedFiles.body(path).map { $0 ^ 0x20 }
    try directory.replace(String(path.dropFirst()), with: bytes)
    guard try eventually(timeout_s: 3, { try RawClient(network, port: server.port).get(path).body == bytes })
    else {
      throw SupportError("\(path) was replaced, and the old bytes are still served")
    }
  }

  /// Requests the kernel part has answered so far.
  func hits() throws -> Int { try apus.status().hits }

  /// Changes one of net.ipv4.tcp_* of the server's network namespace.
  func set(_ setting: String, to value: Int) throws { try network.server.set("ipv4/\(setting)", to: "\(value)") }

  var transcript: String { apus.process.transcript }
}

extension ServedFiles {
  /// More than any answer of the kernel part.
  static let large = "/large"
}

/// One connection of the scripts' client to the live program.
final class LiveWorld: World {
  let client: Endpoint
  let server: Endpoint
  let hasKernel = true
  let mssMax: UInt16
  private let testbed: Testbed
  private let sending: any FrameDevice
  private let mailbox: FlowMailbox

  init(_ testbed: Testbed, client: Endpoint, sending: any FrameDevice, mailbox: FlowMailbox) {
    self.testbed = testbed
    server = testbed.server
    mssMax = testbed.mssMax
    self.client = client
    self.sending = sending
    self.mailbox = mailbox
  }

  func send(_ packet: Packet) throws {
    mailbox.isSending()
    try sending.send(
      packet.with {
        $0.destinationMAC = Testbed.serverMAC
        $0.sourceMAC = Testbed.clientMAC
        $0.hasEthernet = sending.hasEthernet
      }.bytes)
  }

  func receive(timeout_ms: Int) -> SegmentInTime? { mailbox.next(timeout_ms: timeout_ms) }
  func pause(ms: Int) { TestSupport.pause(seconds: Double(ms) / 1000) }
  func isLeftToKernel() -> Bool { preconditionFailure("the kernel can be seen here") }
  func replace(_ path: String) throws { try testbed.replace(path) }

  func set(_ setting: String, to value: Int) throws { try testbed.set(setting, to: value) }

  func setListener(isAccepting: Bool) throws {
    guard let listener = testbed.listener else { throw SupportError("there is no listener behind") }
    listener.setAccepting(isAccepting)
  }
}
