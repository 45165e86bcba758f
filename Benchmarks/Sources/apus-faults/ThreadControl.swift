import CFaults
import Glibc
import TestSupport

/// What is done to threads, our own and others'.
enum ThreadControl {
  /// Runs a body while one thread of another process is stopped (ptrace(2), whose calls all come from one thread).
  static func whileStopped(_ thread: Int32, _ body: () throws -> Void) throws {
    var status: Int32 = 0
    guard cfaults_ptrace(cfaults_PTRACE_SEIZE, thread) == 0, cfaults_ptrace(cfaults_PTRACE_INTERRUPT, thread) == 0,
      waitpid(thread, &status, cfaults_WALL) == thread
    else { throw SupportError.systemCall("ptrace", errno) }
    defer { _ = cfaults_ptrace(cfaults_PTRACE_DETACH, thread) }
    try body()
  }

  /// Binds the calling thread to the last CPU.
  static func bindToLastCPU() {
    _ = cfaults_sched_setaffinity(1 << UInt(sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1))
  }
}

/// The receive window the peer of a connected TCP socket offered last, in bytes; 0 if the kernel does not say.
func peerWindow(of descriptor: Int32) -> UInt32 {
  // The C library's struct tcp_info ends before tcpi_snd_wnd (include/uapi/linux/tcp.h, since Linux 5.4).
  let windowOffset = 228
  var information = [UInt8](repeating: 0, count: 512)
  var length = socklen_t(information.count)
  guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &information, &length) == 0,
    Int(length) >= windowOffset + MemoryLayout<UInt32>.size
  else { return 0 }
  return information.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: windowOffset, as: UInt32.self) }
}
