import BPF
import Contract
import Glibc
import Logging

/// What the thread of the access log does.
final class AccessLogWriter {
  private let log: AccessLog
  private let kernel: KernelPart?
  private let logger: Logger
  private var formatter: LineFormatter
  /// Lines of the kernel part, then those of the user half.
  private var batch = LogText(capacity: ServerLimits.accessLogBatchBytes * 2)
  private var batchLines = 0
  private var queued = LogText()
  /// Losses that are in the log, and losses that have been complained of.
  private var lostTold = 0
  private var lostComplained = 0
  private var complaint_ns: UInt64 = 0
  private var isFailing = false
  /// Whether something was lost, or may have been, since the last look at the counters.
  private var mustLook = false
  private var look_ns: UInt64 = 0

  private static let look_ms: Int32 = 1000

  init(log: AccessLog, kernel: KernelPart?, logger: Logger) {
    self.log = log
    self.kernel = kernel
    self.logger = logger
    formatter = LineFormatter(log.options.format)
  }

  /// Writes until the log shall stop, and then what is left.
  func run(_ file: consuming AccessLogFile) {
    var ring = kernel?.takeAccessEvents()
    var isFlooded = false
    while true {
      let isLast = log.mustStop
      if !isLast { wait(ring?.fileDescriptor, isFlooded: isFlooded) }
      if log.takeReopening() { reopen(&file) }
      let size = ring?.byteCount ?? 0
      let taken = ring?.drain { read($0, &file) } ?? 0
      isFlooded = taken > size / 4
      takeQueue()
      // What is lost now is to be said now.
      if isLast { flush(&file) }
      lookForLosses(isLast: isLast)
      flush(&file)
      if isLast { break }
    }
  }

  /// Waits for something to do, and then for more of it: the kernel part wakes us only when we have read everything.
  private func wait(_ ring: Int32?, isFlooded: Bool) {
    var requests = [pollfd(fd: log.wakeUpDescriptor, events: Int16(POLLIN), revents: 0)]
    if let ring { requests.append(pollfd(fd: ring, events: Int16(POLLIN), revents: 0)) }
    guard poll(&requests, nfds_t(requests.count), mustLook || isFailing ? Self.look_ms : -1) > 0 else { return }
    log.clearWakeUp()
    if isFlooded || log.mustStop { return }
    poll(nil, 0, ServerLimits.accessLogPause_ms)
  }

  private func read(_ event: UnsafeRawBufferPointer, _ file: inout AccessLogFile) {
    mustLook = true
    guard let (entry, request) = AccessEntry.read(event) else { return }
    if formatter.append(entry, request, to: &batch) { batchLines += 1 }
    if batch.count >= ServerLimits.accessLogBatchBytes { flush(&file) }
  }

  private func takeQueue() {
    let count = log.takeQueue(&queued)
    guard count > 0 else { return }
    mustLook = true
    batch.append(queued)
    batchLines += count
  }

  private func flush(_ file: inout AccessLogFile) {
    guard batch.count > 0 || file.isTorn else { return }
    let outcome = batch.withBytes { file.write($0) }
    log.counters.written.add(batchLines - outcome.linesLost, ordering: .relaxed)
    batch.removeAll()
    batchLines = 0
    note(outcome)
  }

  private func note(_ outcome: AccessLogFile.Outcome) {
    log.counters.lostInWriting.add(outcome.linesLost, ordering: .relaxed)
    if outcome.linesLost > 0 { mustLook = true }
    if let error = outcome.error {
      if !isFailing {
        let reason = error == EAGAIN ? "nobody reads from it" : String(cString: strerror(error))
        logger.error("cannot write the access log \(log.options.path): \(reason); lines are lost, and counted")
      }
      isFailing = true
    } else if isFailing {
      isFailing = false
      logger.notice("the access log \(log.options.path) is written again")
    }
  }

  private func reopen(_ file: inout AccessLogFile) {
    // What came before the signal belongs into the old file.
    takeQueue()
    flush(&file)
    do throws(ServeFailure) {
      note(try file.reopen())
      logger.notice("the access log \(log.options.path) is opened anew")
    } catch {
      logger.error("\(error); going on with the old one")
    }
  }

  // MARK: Losses

  /// Once a second, while there is something to log: says in the log, where it has lines for that, and in the
  /// daemon's own what is missing.
  private func lookForLosses(isLast: Bool) {
    let now_ns = MonotonicClock.now_ns()
    guard isLast || (mustLook && now_ns - look_ns >= UInt64(Self.look_ms) * 1_000_000) else { return }
    look_ns = now_ns
    mustLook = false
    let lost = lostInAll
    if lost > lostTold, !isFailing {
      var time = timespec()
      clock_gettime(CLOCK_REALTIME, &time)
      let time_ns = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
      if formatter.appendLost(lost - lostTold, time_ns: time_ns, to: &batch) { batchLines += 1 }
      lostTold = lost
    }
    guard lost > lostComplained else { return }
    if isLast || now_ns - complaint_ns >= UInt64(ServerLimits.accessLogComplaint_s) * 1_000_000_000 {
      logger.warning("\(lost - lostComplained) lines of the access log are lost, \(lost) since the start")
      lostComplained = lost
      complaint_ns = now_ns
    } else {
      mustLook = true
    }
  }

  private var lostInAll: Int {
    let inKernel = kernel.map { Int((try? $0.counts()[Int(Counter.accessEventsLost.rawValue)]) ?? 0) } ?? 0
    return inKernel + log.counters.lostInQueue.load(ordering: .relaxed)
      + log.counters.lostInWriting.load(ordering: .relaxed)
  }
}
