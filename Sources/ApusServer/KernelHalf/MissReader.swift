import BPF
import Contract
import Glibc
import Logging
import Synchronization

/// Reads the kernel part's events and passes misses on. A thread of its own: the ring must not fill up because
/// somebody reads a file.
final class MissReader: Sendable {
  private let part: KernelPart
  private let sites: SiteRegistry
  private let miss: @Sendable (ObjectRequest) -> Void
  private let isStopping = Atomic<Bool>(false)
  private let thread = Mutex<DedicatedThread?>(nil)
  /// How long a stop may have to wait.
  private static let wait_ms: Int32 = 100
  /// Events taken before the thread looks whether it shall stop.
  private static let eventsAtOnce = 1024

  init(part: KernelPart, sites: SiteRegistry, miss: @escaping @Sendable (ObjectRequest) -> Void) {
    self.part = part
    self.sites = sites
    self.miss = miss
  }

  func start() {
    thread.withLock { thread in thread = DedicatedThread(name: "apus-events") { self.run() } }
  }

  func stop() {
    isStopping.store(true, ordering: .relaxed)
    thread.withLock { $0.take() }?.join()
  }

  private func run() {
    guard var events = part.takeEvents() else { return }
    while !isStopping.load(ordering: .relaxed) {
      var descriptor = pollfd(fd: events.fileDescriptor, events: Int16(POLLIN), revents: 0)
      _ = poll(&descriptor, 1, Self.wait_ms)
      events.consume(atMost: Self.eventsAtOnce) { read($0) }
    }
  }

  private func read(_ event: UnsafeRawBufferPointer) {
    guard event.count >= MissEvent.byteCount else { return }
    let header = event.loadUnaligned(as: MissEvent.self)
    guard header.kind == EventKind.miss, Int(header.hostLength) <= Limits.hostBytesMax,
      Int(header.pathLength) <= Limits.pathBytesMax
    else { return }
    let host = Array(event[MissEvent.hostOffset..<MissEvent.hostOffset + Int(header.hostLength)])
    let path = Array(event[MissEvent.pathOffset..<MissEvent.pathOffset + Int(header.pathLength)])
    // A query is part of the path here, and no object has one.
    if path.contains(UInt8(ascii: "?")) { return }
    guard header.site == .max else {
      return miss(ObjectRequest(key: ObjectKey(site: header.site, path: path), host: host))
    }
    guard let site = sites.register(host) else { return }
    miss(ObjectRequest(key: ObjectKey(site: site, path: path), host: host))
  }
}

/// Numbers for the Host values that select different objects. They are given in order of appearance, and not more
/// than `Limits.sitesMax`: requests for any further Host are handed over.
final class SiteRegistry: Sendable {
  private let part: KernelPart
  private let logger: Logger
  private let known = Mutex<[[UInt8]: UInt16]>([:])

  init(part: KernelPart, logger: Logger) {
    self.part = part
    self.logger = logger
  }

  func register(_ host: [UInt8]) -> UInt16? {
    known.withLock { known in
      if let site = known[host] { return site }
      // A request without Host has the name of no bytes.
      guard known.count < Limits.sitesMax - 1 else { return nil }
      let site = UInt16(known.count + 1)
      do {
        try part.setSite(site, host: host)
      } catch {
        logger.error("cannot register a host: \(error)")
        return nil
      }
      known[host] = site
      return site
    }
  }
}
