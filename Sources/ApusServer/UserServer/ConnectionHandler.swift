import CLinux
import NIOCore

/// A connection of the user-mode server: reads requests, answers them in order.
///
/// NIO's codec is not used: the parser knows where a request ends without making objects of its parts, and most
/// answers are bytes that were made before. A request on a kept connection costs one read and one write.
final class ConnectionHandler: ChannelInboundHandler, ServedConnection {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = IOData

  enum State {
    /// Requests are read and answered.
    case open
    /// A large file is being sent; requests wait.
    case sending(FileTransfer)
    /// A request is being passed on to the upstream; later ones wait.
    case proxying(Proxying)
    /// The last answer is on its way out.
    case closing
    /// The last answer is out and our side shut; what still comes in is thrown away (RFC 9112 section 9.6).
    case lingering(bytesLeft: Int)
    case closed
  }

  let worker: ServerWorker
  let transport: Transport
  /// Whose requests are counted, once they have to be.
  private var client: ClientPrefix?
  /// For the access log, where there is one.
  private(set) var loggedClient = (ClientAddress.unknown, UInt16(0))
  var logged: LoggedAnswer?
  var state = State.open
  /// Bytes of requests not yet answered.
  private var input: ByteBuffer?
  private var parser: RequestParser
  private(set) var context: ChannelHandlerContext?
  /// Whether the client has sent its FIN.
  private(set) var inputIsClosed = false
  /// Where there is nothing between the channel and its socket: no TLS.
  private(set) var direct: DirectSocket?
  /// Writes given to the channel that are not out.
  var queuedWrites = 0
  /// Whether one of them has not been flushed.
  var needsFlush = false
  /// Whether the client may still be sending when the last answer is out.
  var lingers = false
  private var isServing = false
  private var hasAnswered = false
  /// `ServerWorker.tick` of the last progress: the first byte of a request, or the end of an answer.
  private var progressTick: Int
  /// Bytes given to the channel since the start of the connection.
  var writtenBytes = 0
  /// Bytes the client had taken at the last progress of writing.
  private var takenBytes = 0

  init(worker: ServerWorker, transport: Transport = .plain) {
    self.worker = worker
    self.transport = transport
    parser = RequestParser(leavesBodies: worker.upstream != nil)
    progressTick = worker.tick
  }

  /// Serves an accepted connection; whether it is still open.
  ///
  /// A connection that the kernel half hands over brings its first request with it, and so do most others by the time
  /// they are accepted. It is read at once: if it is also the last one, the event loop never hears of the connection, and
  /// all that would register it is saved.
  static func prepare(_ channel: any Channel, worker: ServerWorker) throws -> Bool {
    let handler = ConnectionHandler(worker: worker)
    try channel.pipeline.syncOperations.addHandler(handler)
    handler.serveAtOnce()
    if case .closed = handler.state { return false }
    guard let options = channel.syncOptions else { throw ChannelError.operationUnsupported }
    // Set here and not as options of the bootstrap, which makes a chain of futures of them for every connection.
    try options.setOption(.allowRemoteHalfClosure, value: true)
    try options.setOption(.autoRead, value: false)
    try options.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: ServerLimits.readBytes))
    return true
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    if !transport.isTLS { direct = DirectSocket(context.channel) }
    if worker.accessLog != nil { loggedClient = ClientAddress.read(context.channel.remoteAddress) }
    worker.add(self, loop: context.eventLoop)
  }

  func channelActive(context: ChannelHandlerContext) {
    context.read()
  }

  func channelInactive(context: ChannelHandlerContext) {
    tearDown()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    tearDown()
  }

  private func tearDown() {
    if case .proxying(let proxying) = state { proxying.exchange.cancel() }
    logDelayedAnswer()
    state = .closed
    input = nil
    context = nil
    direct = nil
    worker.remove(self)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset or a broken pipe: the client is gone and there is nobody to tell.
    end(context)
  }

  /// Counts a request. `nil`: it may be answered; else the seconds after which one may.
  func retryAfter_s(_ context: ChannelHandlerContext) -> Int? {
    guard let rates = worker.rates else { return nil }
    if client == nil {
      client = ClientPrefix(
        context.channel.remoteAddress?.withoutMapping, worker.configuration.clientPrefixLengths)
    }
    return client.flatMap { rates.retryAfter_s($0, now_ns: worker.now_ns) }
  }

  // MARK: Reading

  private func serveAtOnce() {
    guard let context, let direct else { return }
    // New memory only where a connection keeps the old, because its request is incomplete.
    worker.received.clear()
    if direct.receive(into: &worker.received) { take(worker.received, context) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    take(unwrapInboundIn(data), context)
  }

  private func take(_ bytes: consuming ByteBuffer, _ context: ChannelHandlerContext) {
    var received = bytes
    switch state {
    case .open, .sending, .proxying:
      if input != nil {
        // Or the buffer would grow with every request of a client that always sends a piece of the next one.
        input?.discardReadBytes()
        input?.writeBuffer(&received)
      } else {
        input = received
        progressTick = worker.tick
      }
      // The reference would keep NIO from using the memory again.
      received = ByteBuffer()
      if case .proxying = state { pumpRequest(context) } else { serve(context) }
    case .lingering(let bytesLeft):
      state = .lingering(bytesLeft: bytesLeft - received.readableBytes)
      if bytesLeft <= received.readableBytes { end(context) }
    case .closing, .closed:
      break
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    readOn(context)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed = event else {
      context.fireUserInboundEventTriggered(event)
      return
    }
    inputIsClosed = true
    switch state {
    case .open: serve(context)
    case .proxying: pumpRequest(context)
    case .lingering: end(context)
    case .sending, .closing, .closed: break
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    guard context.channel.isWritable else { return }
    if case .proxying(let proxying) = state { proxying.exchange.clientBecameWritable() }
    guard case .open = state else { return }
    serve(context)
    readOn(context)
  }

  /// Reads more where more could be used: nothing is read for a client that does not take its answers.
  private func readOn(_ context: ChannelHandlerContext) {
    switch state {
    case .open where context.channel.isWritable: context.read()
    case .lingering: context.read()
    default: break
    }
  }

  // MARK: Serving

  /// Answers the requests that have come, in order, until one is incomplete or has to wait.
  private func serve(_ context: ChannelHandlerContext) {
    // Flushing can make the channel writable again and call this from within.
    guard !isServing else { return }
    isServing = true
    defer { isServing = false }
    worker.date.refresh()
    var isIncomplete = false
    while case .open = state, context.channel.isWritable, !isIncomplete {
      isIncomplete = answerRequests(context)
      flush(context)
      if case .proxying(let proxying) = state { proxying.exchange.start() }
    }
    // Where the upstream has refused at once.
    if case .closing = state { flush(context) }
    // The client has nothing more to say, and all it said whole is answered.
    if case .open = state, inputIsClosed, isIncomplete {
      state = .closing
      flush(context)
    }
  }

  /// Answers requests into the worker's output; whether that ended because none is complete.
  private func answerRequests(_ context: ChannelHandlerContext) -> Bool {
    guard var buffer = input else { return true }
    // While the bytes are worked on there is one reference to them.
    input = nil
    var isIncomplete = false
    while case .open = state, !isIncomplete, context.channel.isWritable,
      worker.output.readableBytes < ServerLimits.outputBytesMax
    {
      let length = buffer.withUnsafeReadableBytes { bytes -> Int? in
        switch parser.parse(bytes) {
        case .incomplete: return nil
        case .request(let head, let length):
          beginLogging()
          answer(head, bytes, length: length, context)
          logAnswer(to: UnsafeRawBufferPointer(rebasing: bytes[..<length]))
          return length
        case .failed(let error):
          beginLogging()
          refuse(error)
          logAnswer(to: bytes)
          return bytes.count
        }
      }
      if let length {
        buffer.moveReaderIndex(forwardBy: length)
        hasAnswered = true
        progressTick = worker.tick
      } else {
        isIncomplete = true
      }
    }
    if buffer.readableBytes > 0 {
      switch state {
      case .closing: lingers = true
      case .closed: break
      default: input = buffer
      }
    }
    return isIncomplete
  }

  /// The bytes that have come and have not been looked at.
  func takeInput() -> ByteBuffer? {
    defer { input = nil }
    return input
  }

  func putBack(_ bytes: ByteBuffer) {
    if bytes.readableBytes > 0 { input = bytes }
  }

  // MARK: Closing

  /// After the last answer. Where the client may still be sending, closing at once would make the kernel answer with a
  /// reset, and that can destroy the answer before the client has read it.
  func finish(_ context: ChannelHandlerContext) {
    guard case .closing = state else { return }
    guard lingers, !inputIsClosed else {
      end(context)
      return
    }
    state = .lingering(bytesLeft: ServerLimits.lingerBytesMax)
    progressTick = worker.tick
    context.close(mode: .output, promise: nil)
    readOn(context)
  }

  /// Closes the channel. Its socket must not be touched from here on: the number may soon be another's.
  func end(_ context: ChannelHandlerContext) {
    let ended = state
    logDelayedAnswer(unwritten: unwrittenNow)
    direct = nil
    state = .closed
    if case .proxying(let proxying) = ended { proxying.exchange.cancel() }
    context.close(promise: nil)
  }

  /// Ends the connection whatever its state.
  func abort() {
    if let context { end(context) }
  }

  /// A large file is out.
  func transferEnded(_ context: ChannelHandlerContext, isLast: Bool) {
    logDelayedAnswer()
    progressTick = worker.tick
    if isLast {
      state = .closing
      // Else the requests behind this one are not looked at yet, and who looks at them flushes.
      guard !isServing else { return }
      if input != nil { lingers = true }
      flush(context)
    } else {
      state = .open
      serve(context)
      readOn(context)
    }
  }

  // MARK: Time

  var idle_s: Int? { isIdle ? worker.tick - progressTick : nil }

  private var isIdle: Bool {
    guard case .open = state else { return false }
    return input == nil && unwrittenNow == 0
  }

  /// Bytes the kernel has not taken yet.
  private var unwrittenNow: Int {
    if let stream = transport.stream { return stream.unwrittenBytes }
    return (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
  }

  /// Bytes in the socket's send buffer.
  private func unacknowledged(_ context: ChannelHandlerContext) -> Int {
    let operations = context.channel.pipeline.syncOperations
    let bytes = try? operations.withUnsafeTransportIfAvailable(of: CInt.self) { clinux_siocoutq($0) }
    return Int(max(0, (bytes ?? nil) ?? 0))
  }

  /// On shutdown. A connection that has not asked for anything yet gets a moment: its request may be in the kernel
  /// already, where a connection handed over by the kernel half always has it.
  func closeIfIdle() {
    guard isIdle, hasAnswered || worker.tick > progressTick else { return }
    abort()
  }

  /// Once a second: is the connection getting on?
  func look() {
    guard let context else { return }
    let unwritten = unwrittenNow
    if case .proxying(let proxying) = state { proxying.exchange.look() }
    if unwritten > 0 {
      // What lies in the socket's buffer, perhaps megabytes, is not taken: a slow client empties it for minutes.
      let taken = writtenBytes - unwritten - unacknowledged(context)
      if taken - takenBytes >= worker.configuration.writeBytesMin {
        takenBytes = taken
        progressTick = worker.tick
      }
    }
    let waited_s = worker.tick - progressTick
    if case .sending(let transfer) = state, !transfer.isUnchanged {
      // NIO would try again and again to send what is no longer there.
      abort()
    } else if unwritten > 0 {
      if waited_s >= worker.configuration.writeStallTimeout_s { abort() }
    } else {
      lookAtInput(context, waited_s: waited_s)
    }
  }

  private func lookAtInput(_ context: ChannelHandlerContext, waited_s: Int) {
    let configuration = worker.configuration
    switch state {
    case .open where isIdle:
      let limit_s = hasAnswered ? configuration.idleTimeout_s : configuration.headTimeout_s
      if waited_s >= limit_s || (worker.isDraining && waited_s >= 1) { abort() }
    case .open where waited_s >= configuration.headTimeout_s:
      worker.date.refresh()
      beginLogging()
      refuse(RequestError(.requestTimeout, "request incomplete"))
      input?.withUnsafeReadableBytes { logAnswer(to: $0) }
      flush(context)
    case .lingering where waited_s >= configuration.lingerTimeout_s:
      abort()
    case .closing where waited_s >= configuration.writeStallTimeout_s:
      abort()
    default:
      break
    }
  }
}
