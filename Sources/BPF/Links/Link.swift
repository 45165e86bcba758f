import Glibc

/// Which packets of a device a program sees.
public enum TrafficDirection: Sendable {
  case ingress
  case egress
}

/// A program attached to a device or a network namespace. It is detached when this value goes.
///
/// A BPF link also goes with the process, however that ends. A clsact filter does not: it stays when the process is
/// killed.
public struct Link: ~Copyable, Sendable {
  /// How the program is attached.
  public enum Mechanism: Sendable, Equatable {
    /// A BPF link at the device's tcx hook (since Linux 6.6).
    case tcx
    /// A filter of the device's clsact queueing discipline.
    case clsact
    /// A BPF link at the network namespace's search for listeners (since Linux 5.9).
    case socketLookup
  }

  private let attachment: Attachment

  private enum Attachment: Sendable {
    case tcx(Descriptor)
    case clsact(ClsactFilter)
    case socketLookup(Descriptor)
  }

  public var mechanism: Mechanism {
    switch attachment {
    case .tcx: .tcx
    case .clsact: .clsact
    case .socketLookup: .socketLookup
    }
  }

  init(tcx descriptor: Descriptor) { attachment = .tcx(descriptor) }
  init(socketLookup descriptor: Descriptor) { attachment = .socketLookup(descriptor) }
  init(clsact filter: ClsactFilter) { attachment = .clsact(filter) }

  deinit {
    // Closing the descriptor of a BPF link is enough.
    if case .clsact(let filter) = attachment { filter.remove() }
  }

  /// Detaches the program now.
  public consuming func detach() {}

  /// Removes the clsact filters of that name from a device of this thread's network namespace, such as those that a
  /// killed process has left, and returns how many there were.
  @discardableResult
  public static func removeClsactFilters(
    named name: String, interfaceIndex: UInt32, direction: TrafficDirection = .ingress
  ) throws(BPFError) -> Int {
    try ClsactFilter.removeAll(named: name, at: .init(interfaceIndex: interfaceIndex, direction: direction))
  }
}

/// enum bpf_attach_type
enum AttachType {
  static let tcxIngress: UInt32 = 46
  static let tcxEgress: UInt32 = 47
  static let socketLookup: UInt32 = 36

  /// What BPF_PROG_LOAD is to be told of a program's later place; 0 where the type says it.
  static func expected(of type: ProgramType) -> UInt32 {
    switch type {
    case .schedulerClassifier, .expressDataPath: 0
    case .socketLookup: socketLookup
    }
  }

  static func tcx(_ direction: TrafficDirection) -> UInt32 {
    direction == .ingress ? tcxIngress : tcxEgress
  }
}

extension Program {
  /// Attaches a `tc` program to a device, after those that are there: to its tcx hook, or, where the kernel has none,
  /// to its clsact queueing discipline. The device is one of this thread's network namespace.
  public func attachTCX(
    interfaceIndex: UInt32, direction: TrafficDirection = .ingress
  ) throws(BPFError) -> Link {
    let result = Command.linkCreate(
      LinkCreateAttributes(
        programDescriptor: UInt32(descriptor.rawValue), target: interfaceIndex,
        attachType: AttachType.tcx(direction)))
    if result >= 0 { return Link(tcx: Descriptor(Int32(result))) }
    // An older kernel takes the attach type for a mistake; so does one that has it with some other argument.
    if result == -Int(EINVAL), !Features.hasTCX(interfaceIndex: interfaceIndex) {
      return try attachClsact(interfaceIndex: interfaceIndex, direction: direction)
    }
    throw .failed("BPF_LINK_CREATE", errno: Int32(-result))
  }

  /// Attaches an `sk_lookup` program to this thread's network namespace, after those that are there.
  public func attachSocketLookup() throws(BPFError) -> Link {
    let path = "/proc/thread-self/ns/net"
    let opened = open(path, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else { throw .failed("open \(path)", errno: errno) }
    let namespace = Descriptor(opened)
    let result = Command.linkCreate(
      LinkCreateAttributes(
        programDescriptor: UInt32(descriptor.rawValue), target: UInt32(namespace.rawValue),
        attachType: AttachType.socketLookup))
    guard result >= 0 else { throw .failed("BPF_LINK_CREATE", errno: Int32(-result)) }
    return Link(socketLookup: Descriptor(Int32(result)))
  }

  /// Attaches a `tc` program as a filter of the device's clsact queueing discipline, which is made if it is not there.
  /// - Parameters:
  ///   - name: of the filter, as `tc filter show` says it; by default the program's.
  ///   - priority: lower ones come first. If it is taken the next free one is used.
  public func attachClsact(
    interfaceIndex: UInt32, direction: TrafficDirection = .ingress, name: String? = nil, priority: UInt16 = 1
  ) throws(BPFError) -> Link {
    Link(
      clsact: try ClsactFilter(
        adding: descriptor.rawValue, at: .init(interfaceIndex: interfaceIndex, direction: direction),
        name: name ?? self.name, priority: priority))
  }
}
