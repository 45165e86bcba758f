import Logging
import ServiceLifecycle
import UnixSignals

/// The signals that do not end the daemon. SIGHUP opens the access log anew, and takes the options as they are now, as
/// `apus reload` does; what is wrong with them is said in the log. SIGUSR1 opens the access log anew and does nothing
/// else, as it does with nginx.
struct DaemonSignals: Service {
  private let daemon: Daemon
  private let reloads: Bool
  private let signals: UnixSignalsSequence

  /// From here on the signals are taken. To be made before anybody is told that the daemon is there: without it they
  /// would end the process.
  ///
  /// - Parameter reloads: whether SIGHUP is for the configuration as well.
  init(_ daemon: Daemon, reloads: Bool) async {
    self.daemon = daemon
    self.reloads = reloads
    signals = await UnixSignalsSequence(trapping: .sighup, .sigusr1)
  }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      for await signal in signals {
        daemon.halves.accessLog?.reopen()
        guard signal == .sighup, reloads else { continue }
        do {
          try daemon.reload()
        } catch {
          daemon.logger.error("not reloaded: \(error)")
        }
      }
    }
  }
}
