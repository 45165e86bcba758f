import NIOCore

/// How answers leave: to the socket where it takes them at once, else to the channel.
extension ConnectionHandler {
  /// Writes what has been collected. With the last answer comes the end of the connection.
  func flush(_ context: ChannelHandlerContext) {
    guard case .closing = state else {
      writeOutput(context)
      _ = flushQueue(context)
      return
    }
    writeOutput(context)
    // Else it is finished when what the channel holds is out.
    if flushQueue(context) { finish(context) }
  }

  /// - Parameter more: whether more is written at once.
  func writeOutput(_ context: ChannelHandlerContext, more: Bool = false) {
    guard worker.output.readableBytes > 0 else { return }
    write(worker.output, more: more, context)
    // Takes new memory only where the channel could not write and keeps the old.
    worker.output.clear()
  }

  /// Writes bytes, to the socket if it takes them.
  func write(_ bytes: ByteBuffer, more: Bool, _ context: ChannelHandlerContext) {
    guard queuedWrites == 0, let direct else { return enqueue(.byteBuffer(bytes), context) }
    let sent = direct.send(bytes, more: more)
    writtenBytes &+= sent
    guard sent < bytes.readableBytes else { return }
    var rest = bytes
    rest.moveReaderIndex(forwardBy: sent)
    enqueue(.byteBuffer(rest), context)
  }

  /// How many bytes of a part of a file the socket takes.
  func sendAtOnce(_ region: FileRegion, of file: OpenFile) -> Int {
    guard queuedWrites == 0, let direct else { return 0 }
    let sent = direct.send(file.file.descriptor.number, region.readerIndex..<region.endIndex)
    writtenBytes &+= sent
    return sent
  }

  /// Gives the channel what the socket is not to have at once. Nothing is written in any other way while it is not out.
  func enqueue(_ data: IOData, _ context: ChannelHandlerContext) {
    writtenBytes &+= data.readableBytes
    queuedWrites += 1
    needsFlush = true
    let isOut = context.eventLoop.makePromise(of: Void.self)
    isOut.futureResult.assumeIsolated().whenComplete { [self] result in
      queuedWrites -= 1
      // The channel, and with it the socket, may be closed already.
      guard case .success = result else { return end(context) }
      guard queuedWrites == 0 else { return }
      switch state {
      case .sending(let transfer): sendPortions(of: transfer, context)
      case .closing: finish(context)
      default: break
      }
    }
    context.write(wrapOutboundOut(data), promise: isOut)
  }

  /// Flushes what the channel has to write; whether all is out.
  func flushQueue(_ context: ChannelHandlerContext) -> Bool {
    if needsFlush {
      needsFlush = false
      context.flush()
    }
    return queuedWrites == 0
  }
}
