import Glibc

/// Everything that can go wrong between an object file and a running program.
public enum BPFError: Error, Sendable, Equatable {
  /// The bytes are not an eBPF object this library understands.
  case malformedObject(String)
  /// The object, the loaded object or the kernel has nothing of that kind and name.
  case notFound(kind: String, name: String)
  /// A Swift type and the kernel's map, or a constant and its new value, differ in size (bytes).
  case layoutMismatch(of: String, expected: Int, actual: Int)
  /// The map exists, but is of another kind than asked for.
  case wrongMapType(map: String, expected: String, actual: MapType)
  /// The kernel's verifier found that the program might do harm.
  case refused(VerifierRefusal)
  /// The process may not do this.
  case missingPrivilege(operation: String, hint: String)
  /// The running kernel lacks something.
  case missingFeature(name: String, hint: String)
  /// Any other system call that failed.
  case systemCall(name: String, errno: Int32)
}

extension BPFError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .malformedObject(let reason): "malformed eBPF object: \(reason)"
    case .notFound(let kind, let name): "no \(kind) named \(name)"
    case .layoutMismatch(let part, let expected, let actual):
      "\(part) has \(expected) bytes, the Swift side has \(actual)"
    case .wrongMapType(let map, let expected, let actual): "\(map) is a map of type \(actual), not \(expected)"
    case .refused(let refusal): refusal.description
    case .missingPrivilege(let operation, let hint): "\(operation): not permitted; \(hint)"
    case .missingFeature(let name, let hint): "this kernel has no \(name); \(hint)"
    case .systemCall(let name, let code): "\(name): \(String(cString: strerror(code)))"
    }
  }
}

extension BPFError {
  static let privilegeHint = "run as root, or with the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"

  /// The error of a failed system call that has no better explanation.
  static func failed(_ name: String, errno code: Int32) -> BPFError {
    switch code {
    case EPERM: .missingPrivilege(operation: name, hint: privilegeHint)
    case ENOSYS: .missingFeature(name: name, hint: "it must be built with CONFIG_BPF_SYSCALL")
    default: .systemCall(name: name, errno: code)
    }
  }
}
