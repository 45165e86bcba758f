import BPF
import Glibc
import KernelSockets

/// The user-mode side of a `SimpleSocketServer`: loads its program, tells it where to listen, attaches it to devices.
///
/// Everything goes with this object, or with the process. Nothing is left behind in the kernel.
public final class KernelSocketHost {
  /// For the server's own maps.
  public let loaded: LoadedObject
  public let program: Program
  private let settings: MappedArray
  private let counters: PerCPUArrayMap<InlineArray<32, UInt64>>
  private var links: [AttachedLink] = []
  private var keyRenewal_s = 0

  /// A cookie key signs for so long, and is good for as long again.
  private static let keyPeriod_s = 64

  /// - Parameters:
  ///   - image: the object the CompileKernel plugin has embedded.
  ///   - program: the name in the program's `@c`.
  ///   - listener: an address of this host, and a port: where clients connect to.
  ///   - backend: where the listening socket is that takes connections over; it must be there before clients are.
  public init(_ image: [UInt8], program name: String, listener: SocketAddress, backend: SocketAddress) throws(BPFError)
  {
    var loaded = try LoadedObject(try ObjectFile(image), options: try .forSockets())
    program = try loaded.program(name)
    settings = try loaded.mappedArray("socketSettingsMap")
    counters = try loaded.perCPUArray("socketCountersMap", of: InlineArray<32, UInt64>.self)
    self.loaded = loaded
    var first = SocketSettings(listener: listener, backend: backend)
    first.cookieKey0 = Self.randomKey()
    first.cookieKey1 = Self.randomKey()
    block = first
    keyRenewal_s = time(nil) + Self.keyPeriod_s
    refresh()
  }

  /// Takes packets that come in by a device of this thread's network namespace.
  public func attach(interface: String) throws(BPFError) {
    let index = if_nametoindex(interface)
    guard index != 0 else { throw .notFound(kind: "interface", name: interface) }
    links.append(AttachedLink(try program.attachTCX(interfaceIndex: index)))
  }

  /// To be called about once a second: follows the kernel's settings, and changes the keys of cookies.
  public func refresh() {
    block.handshakeOptions = HandshakeSettings.current()
    guard time(nil) >= keyRenewal_s else { return }
    keyRenewal_s = time(nil) + Self.keyPeriod_s
    // The key not in use becomes a new one, and is used from now on.
    if block.cookieKeySlot == 0 { block.cookieKey1 = Self.randomKey() } else { block.cookieKey0 = Self.randomKey() }
    block.cookieKeySlot ^= 1
  }

  /// How often what has happened, on all CPUs together.
  public func counts() throws(BPFError) -> [SocketEvent: UInt64] {
    var counts: [SocketEvent: UInt64] = [:]
    for cpu in try counters.lookup(0) {
      for event in SocketEvent.allCases { counts[event, default: 0] += cpu[Int(event.rawValue)] }
    }
    return counts
  }

  private var block: SocketSettings {
    get { settings.base.load(as: SocketSettings.self) }
    _modify { yield &settings.base.assumingMemoryBound(to: SocketSettings.self).pointee }
    set { settings.base.storeBytes(of: newValue, as: SocketSettings.self) }
  }

  private static func randomKey() -> (UInt64, UInt64) {
    var generator = SystemRandomNumberGenerator()
    return (generator.next(), generator.next())
  }
}

/// A link in a box: a link cannot be copied, and arrays hold only what can be.
private final class AttachedLink {
  private let link: Link
  init(_ link: consuming Link) { self.link = link }
}
