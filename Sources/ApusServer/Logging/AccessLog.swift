import CLinux
import Contract
import Glibc
import Logging
import ServiceLifecycle
import Synchronization

/// The access log of both halves: who tells it something does not wait. A thread of its own takes what the kernel part
/// has put into its ring and what the user half has put into a queue, and writes it in batches.
///
/// Lines are in order up to `ServerLimits.accessLogPause_ms`.
final class AccessLog: Service {
  let options: AccessLogOptions
  private let logger: Logger
  private let queue: Mutex<Queue>
  private let file: Mutex<FileSlot>
  private let wakeUp: Int32
  private let thread = Mutex<DedicatedThread?>(nil)
  private let isStopping = Atomic<Bool>(false)
  private let mustReopen = Atomic<Bool>(false)
  let counters = Counters()

  /// Lines since the start.
  final class Counters: Sendable {
    let written = Atomic<Int>(0)
    /// No room for them where lines wait.
    let lostInQueue = Atomic<Int>(0)
    /// The file did not take them.
    let lostInWriting = Atomic<Int>(0)
  }

  private struct Queue: ~Copyable {
    var lines = LogText()
    var lineCount = 0
    var formatter: LineFormatter
  }

  /// The file until the thread takes it.
  private struct FileSlot: ~Copyable {
    var file: AccessLogFile?
  }

  /// Opens the log; what it is told before `start` waits.
  ///
  /// Throws a `ServeFailure` that says why it cannot be opened.
  init(_ options: AccessLogOptions, logger: Logger) throws {
    self.options = options
    self.logger = logger
    queue = Mutex(Queue(formatter: LineFormatter(options.format)))
    file = Mutex(FileSlot(file: try AccessLogFile(path: options.path)))
    wakeUp = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    guard wakeUp >= 0 else { throw ServeFailure("eventfd: \(String(cString: strerror(errno)))") }
  }

  deinit { close(wakeUp) }

  /// Begins to write, also what the kernel part tells from now on.
  func start(kernel: KernelPart?) {
    guard let file = file.withLock({ slot in slot.file.take() }) else { return }
    kernel?.control.setAccessLog(kernelSwitch)
    let slot = Mutex(FileSlot(file: consume file))
    thread.withLock { thread in
      thread = DedicatedThread(name: "apus-access-log") { [self] in
        guard let file = slot.withLock({ $0.file.take() }) else { return }
        AccessLogWriter(log: self, kernel: kernel, logger: logger).run(file)
      }
    }
  }

  /// Writes what is there and ends. Nothing may be told any more.
  func stop() {
    isStopping.store(true, ordering: .releasing)
    wake()
    thread.withLock { $0.take() }?.join()
  }

  /// The Combined Log Format has only answers: what is handed over is logged by who answers it.
  private var kernelSwitch: UInt32 {
    options.format == .json ? AccessLogSwitch.hits | AccessLogSwitch.handovers : AccessLogSwitch.hits
  }

  /// Opens the path anew, for programs that rotate logs.
  func reopen() {
    mustReopen.store(true, ordering: .releasing)
    wake()
  }

  /// Until a graceful shutdown; then the rest is written.
  func run() async throws {
    try? await gracefulShutdown()
    stop()
  }

  /// Logs an answer of the user half.
  ///
  /// - Parameter request: the bytes of the request, at least those of its head.
  func log(_ entry: AccessEntry, _ request: UnsafeRawBufferPointer) {
    let isFirst = queue.withLock { queue -> Bool in
      guard queue.lines.count < ServerLimits.accessLogQueueBytesMax else {
        counters.lostInQueue.add(1, ordering: .relaxed)
        return false
      }
      guard queue.formatter.append(entry, request, to: &queue.lines) else { return false }
      queue.lineCount += 1
      return queue.lineCount == 1
    }
    if isFirst { wake() }
  }

  private func wake() {
    var one: UInt64 = 1
    // It fails only when it has not been read for 2^64 - 1 calls.
    _ = write(wakeUp, &one, 8)
  }

  // MARK: For the thread

  /// Readable when there is something to do.
  var wakeUpDescriptor: Int32 { wakeUp }
  var mustStop: Bool { isStopping.load(ordering: .acquiring) }

  func clearWakeUp() {
    var count: UInt64 = 0
    _ = read(wakeUp, &count, 8)
  }

  func takeReopening() -> Bool { mustReopen.exchange(false, ordering: .acquiring) }

  /// Exchanges what waits for an empty text.
  func takeQueue(_ lines: inout LogText) -> Int {
    lines.removeAll()
    return queue.withLock { queue in
      swap(&queue.lines, &lines)
      defer { queue.lineCount = 0 }
      return queue.lineCount
    }
  }
}

extension AccessLog {
  /// - Parameter lostInKernel: what the kernel part counted.
  func status(lostInKernel: Int) -> AccessLogStatus {
    AccessLogStatus(
      path: options.path, format: options.format.rawValue, lines: counters.written.load(ordering: .relaxed),
      lostInKernel: lostInKernel, lostInQueue: counters.lostInQueue.load(ordering: .relaxed),
      lostInWriting: counters.lostInWriting.load(ordering: .relaxed))
  }
}
