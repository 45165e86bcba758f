import Glibc

/// Which packets of a device a program sees.
public enum TrafficDirection: Sendable {
  case ingress
  case egress
}

/// A program attached to a device. It is detached when this value goes.
///
/// A tcx link also goes with the process, however that ends. A clsact filter does not: it stays when the process is
/// killed.
public struct Link: ~Copyable, Sendable {
  /// How the program is attached.
  public enum Mechanism: Sendable, Equatable {
    /// A BPF link at the device's tcx hook (since Linux 6.6).
    case tcx
    /// A filter of the device's clsact queueing discipline.
    case clsact
  }

  private let attachment: Attachment

  private enum Attachment: Sendable {
    case tcx(Descriptor)
    case clsact(ClsactFilter)
  }

  public var mechanism: Mechanism {
    switch attachment {
    case .tcx: .tcx
    case .clsact: .clsact
    }
  }

  init(tcx descriptor: Descriptor) { attachment = .tcx(descriptor) }
  init(clsact filter: ClsactFilter) { attachment = .clsact(filter) }

  deinit {
    // Closing the descriptor of a tcx link is enough.
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
        programDescriptor: UInt32(descriptor.rawValue), interfaceIndex: interfaceIndex,
        attachType: AttachType.tcx(direction)))
    if result >= 0 { return Link(tcx: Descriptor(Int32(result))) }
    // An older kernel takes the attach type for a mistake; so does one that has it with some other argument.
    if result == -Int(EINVAL), !Features.hasTCX(interfaceIndex: interfaceIndex) {
      return try attachClsact(interfaceIndex: interfaceIndex, direction: direction)
    }
    throw .failed("BPF_LINK_CREATE", errno: Int32(-result))
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
