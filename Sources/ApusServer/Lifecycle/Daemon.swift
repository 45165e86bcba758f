import Contract
import Glibc

/// A running daemon, as its admin socket shows it.
final class Daemon: AdminHandler {
  private let options: ServeOptions
  private let root: DocumentRoot
  private let kernel: KernelHalf?
  /// Why there is no kernel half.
  private let reason: String
  private let start_ns = MonotonicClock.now_ns()

  init(options: ServeOptions, root: DocumentRoot, kernel: KernelHalf?, reason: String) {
    self.options = options
    self.root = root
    self.kernel = kernel
    self.reason = reason
  }

  /// `apus: serving DIR on http://ADDR:PORT (kernel mode: lo, eth0)`
  var readyLine: String {
    let places = options.listen.map { "http://\($0)" }.joined(separator: ", ")
    let mode = kernel.map { "kernel mode: " + $0.attachment.interfaces.joined(separator: ", ") } ?? "user mode: \(reason)"
    return "apus: serving \(options.directory) on \(places) (\(mode))"
  }
}
