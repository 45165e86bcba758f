import NIOCore
import NIOHTTP2

/// An HTTP/2 connection (RFC 9113): its limits, how long it may be idle, and its orderly end. Its streams are
/// `HTTP2StreamAdapter`s.
final class HTTP2Connection: ChannelInboundHandler {
  typealias InboundIn = HTTP2Frame
  typealias OutboundOut = HTTP2Frame

  private enum Ending {
    case no
    /// The client has been asked to begin no more requests.
    case announced
    /// Requests that come now are refused; those that are open are answered.
    case limited
    /// All is answered; the client is to close.
    case finished
  }

  private let worker: ServerWorker
  private var context: ChannelHandlerContext?
  private var openStreams = 0
  private var lastStreamID = HTTP2StreamID.rootStream
  private var ending = Ending.no
  private var waited_s = 0

  init(worker: ServerWorker) { self.worker = worker }

  /// Makes a channel one of HTTP/2.
  static func configure(_ channel: any Channel, worker: ServerWorker, settings: TLSSettings) throws {
    let connection = NIOLoopBound(HTTP2Connection(worker: worker), eventLoop: channel.eventLoop)
    let bound = NIOLoopBound((worker, settings), eventLoop: channel.eventLoop)
    let pipeline = channel.pipeline.syncOperations
    _ = try pipeline.configureHTTP2Pipeline(
      mode: .server, connectionConfiguration: connectionConfiguration, streamConfiguration: streamConfiguration
    ) { stream in
      stream.eventLoop.makeCompletedFuture {
        let (worker, settings) = bound.value
        try stream.syncOptions?.setOption(.autoRead, value: false)
        let adapter = HTTP2StreamAdapter(connection: connection.value)
        let pipeline = stream.pipeline.syncOperations
        try pipeline.addHandler(adapter)
        try pipeline.addHandler(FileRegionReader())
        try pipeline.addHandler(ConnectionHandler(worker: worker, transport: settings.transport(stream: adapter)))
      }
    }
    try pipeline.addHandler(connection.value)
  }

  private static var connectionConfiguration: NIOHTTP2Handler.ConnectionConfiguration {
    var configuration = NIOHTTP2Handler.ConnectionConfiguration()
    configuration.initialSettings = [
      HTTP2Setting(parameter: .maxConcurrentStreams, value: TLSLimits.concurrentStreamsMax),
      HTTP2Setting(parameter: .maxHeaderListSize, value: ServerLimits.headBytesMax),
      HTTP2Setting(parameter: .initialWindowSize, value: TLSLimits.streamWindowBytes),
    ]
    configuration.targetWindowSize = TLSLimits.connectionWindowBytes
    configuration.maximumSequentialContinuationFrames = TLSLimits.continuationFramesMax
    configuration.maximumSequentialEmptyDataFrames = TLSLimits.emptyDataFramesMax
    configuration.maximumBufferedControlFrames = TLSLimits.bufferedControlFramesMax
    configuration.maximumConnectionGlitches = TLSLimits.glitchesMax
    configuration.controlFrameRateLimit.maximumCount = TLSLimits.controlFramesMax
    configuration.controlFrameRateLimit.windowLength = .seconds(Int64(TLSLimits.rateWindow_s))
    return configuration
  }

  private static var streamConfiguration: NIOHTTP2Handler.StreamConfiguration {
    var configuration = NIOHTTP2Handler.StreamConfiguration()
    configuration.targetWindowSize = TLSLimits.streamWindowBytes
    configuration.outboundBufferSizeHighWatermark = TLSLimits.streamBufferBytes
    configuration.outboundBufferSizeLowWatermark = TLSLimits.streamBufferBytes / 2
    configuration.streamResetFrameRateLimit.maximumCount = TLSLimits.streamResetsMax
    configuration.streamResetFrameRateLimit.windowLength = .seconds(Int64(TLSLimits.rateWindow_s))
    configuration.streamErrorRateLimit.maximumCount = TLSLimits.streamErrorsMax
    configuration.streamErrorRateLimit.windowLength = .seconds(Int64(TLSLimits.rateWindow_s))
    return configuration
  }

  // MARK: Streams

  func streamOpened(_ id: HTTP2StreamID) {
    openStreams += 1
    lastStreamID = max(lastStreamID, id)
    waited_s = 0
  }

  func streamClosed() {
    openStreams -= 1
    waited_s = 0
    if case .limited = ending, openStreams == 0 { finish() }
  }

  // MARK: Life

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    worker.add(self, loop: context.eventLoop)
  }

  func handlerRemoved(context: ChannelHandlerContext) { end() }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  private func end() {
    context = nil
    worker.remove(self)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // What concerns one stream has been answered with a reset of that stream; NIOHTTP2 itself says GOAWAY before it
    // reports what concerns the connection.
    if error is NIOHTTP2Errors.StreamError { return }
    context.close(promise: nil)
  }

  /// Sends our FIN behind the last answer. Closed at once, the client's frames still on their way would make the kernel
  /// answer with a reset, and that can destroy the answer before the client has read it.
  private func finish() {
    guard let context else { return }
    ending = .finished
    waited_s = 0
    // When this frame is out, so is everything before it.
    let frame = HTTP2Frame(
      streamID: .rootStream, payload: .goAway(lastStreamID: lastStreamID, errorCode: .noError, opaqueData: nil))
    context.writeAndFlush(wrapOutboundOut(frame)).assumeIsolated().whenComplete { _ in
      context.close(mode: .output, promise: nil)
    }
  }

  private func sayGoAway(_ last: HTTP2StreamID) {
    guard let context else { return }
    let frame = HTTP2Frame(
      streamID: .rootStream, payload: .goAway(lastStreamID: last, errorCode: .noError, opaqueData: nil))
    context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
  }
}

extension HTTP2Connection: ServedConnection {
  func look() {
    waited_s += 1
    switch ending {
    case .no:
      if openStreams == 0, waited_s >= worker.configuration.idleTimeout_s { closeIfIdle() }
    case .announced where waited_s >= TLSLimits.goAwayDelay_s:
      ending = .limited
      if openStreams == 0 { finish() } else { sayGoAway(lastStreamID) }
    case .finished where waited_s >= worker.configuration.lingerTimeout_s: abort()
    case .announced, .limited, .finished: break
    }
  }

  var idle_s: Int? {
    guard case .no = ending, openStreams == 0 else { return nil }
    return waited_s
  }

  /// Begins the orderly end (RFC 9113 section 6.8): first a GOAWAY that refuses nothing, for requests on their way.
  func closeIfIdle() {
    guard case .no = ending else { return }
    ending = .announced
    waited_s = 0
    sayGoAway(.maxID)
  }

  func abort() { context?.close(promise: nil) }
}
