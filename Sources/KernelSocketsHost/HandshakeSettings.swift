import Glibc
import KernelSockets

/// The kernel's settings for TCP handshakes. What it does not allow itself, it does not take over in a connection that
/// is handed to it (bpf_sk_assign_tcp_reqsk).
public enum HandshakeSettings {
  /// Bits of `HandshakeOptions`, as the network namespace of the process has them now.
  public static func current() -> UInt32 {
    [
      ("tcp_timestamps", HandshakeOptions.timestamps),
      ("tcp_window_scaling", HandshakeOptions.windowScale),
      ("tcp_sack", HandshakeOptions.sack),
      ("tcp_syncookies", HandshakeOptions.cookies),
    ]
    .filter { isOn($0.0) }.reduce(0) { $0 | $1.1 }
  }

  /// A setting that cannot be read counts as off: an option that is not offered is missed by nobody.
  private static func isOn(_ name: String) -> Bool {
    let file = open("/proc/sys/net/ipv4/\(name)", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    var first: UInt8 = 0
    return read(file, &first, 1) == 1 && first != UInt8(ascii: "0")
  }
}
