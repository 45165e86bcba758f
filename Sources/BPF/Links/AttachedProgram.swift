/// A program or filter at a device's tc hook, whoever attached it.
public struct AttachedProgram: Sendable, Equatable {
  public let mechanism: Link.Mechanism
  /// The program's name, or the filter's; empty where the kernel does not tell (CAP_SYS_ADMIN).
  public let name: String

  /// What a packet meets at a device, in this order: programs at its tcx hook, then filters of its clsact discipline
  /// (sch_handle_ingress in net/core/dev.c). The device is one of this thread's network namespace.
  public static func list(
    interfaceIndex: UInt32, direction: TrafficDirection = .ingress
  ) throws(BPFError) -> [AttachedProgram] {
    let filters = try ClsactFilter.list(at: .init(interfaceIndex: interfaceIndex, direction: direction))
    return identifiers(interfaceIndex, direction).map { AttachedProgram(mechanism: .tcx, name: name(of: $0)) }
      + filters.map { AttachedProgram(mechanism: .clsact, name: $0.name ?? $0.kind) }
  }

  /// More are not asked for (BPF_MPROG_MAX in include/linux/bpf_mprog.h).
  private static let programsMax = 64

  /// Of the programs at the tcx hook; none where the kernel has no such hook.
  private static func identifiers(_ interfaceIndex: UInt32, _ direction: TrafficDirection) -> [UInt32] {
    var identifiers = [UInt32](repeating: 0, count: programsMax)
    var attributes = ProgramQueryAttributes(interfaceIndex: interfaceIndex, attachType: AttachType.tcx(direction))
    let result = identifiers.withUnsafeMutableBytes { buffer in
      attributes.programIdentifiers = UInt64(buffer.baseAddress)
      attributes.programCount = UInt32(programsMax)
      return Command.programQuery(&attributes)
    }
    return result < 0 ? [] : Array(identifiers.prefix(Int(attributes.programCount)))
  }

  private static func name(of identifier: UInt32) -> String {
    let result = Command.programDescriptor(ProgramDescriptorAttributes(identifier: identifier))
    guard result >= 0 else { return "" }
    let descriptor = Descriptor(Int32(result))
    var info = ProgramInfo()
    let read = withUnsafeMutableBytes(of: &info) {
      Command.objectInfo(
        ObjectInfoAttributes(
          descriptor: UInt32(descriptor.rawValue), infoSize: UInt32($0.count), info: UInt64($0.baseAddress)))
    }
    guard read >= 0 else { return "" }
    return withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
