import Glibc
import NIOCore

/// Reads what a handler behind it would send with sendfile(2), piece by piece: bytes that are still to be encrypted must
/// pass through memory.
///
/// A piece is read when the one before is out, so that a client that takes nothing costs one piece of memory. What is
/// written behind a file waits for its end.
final class FileRegionReader: ChannelOutboundHandler {
  typealias OutboundIn = IOData
  typealias OutboundOut = ByteBuffer

  private var waiting = CircularBuffer<(data: IOData, promise: EventLoopPromise<Void>?)>()
  /// Whether a piece of the first region is on its way.
  private var isWriting = false

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let data = unwrapOutboundIn(data)
    if case .byteBuffer(let bytes) = data, waiting.isEmpty {
      context.write(wrapOutboundOut(bytes), promise: promise)
    } else {
      waiting.append((data, promise))
    }
  }

  func flush(context: ChannelHandlerContext) {
    if !isWriting { writeWaiting(context) }
    context.flush()
  }

  /// Writes what waits, up to the first piece of a region that has more.
  private func writeWaiting(_ context: ChannelHandlerContext) {
    while let (data, promise) = waiting.first {
      switch data {
      case .byteBuffer(let bytes):
        waiting.removeFirst()
        context.write(wrapOutboundOut(bytes), promise: promise)
      case .fileRegion(var region):
        let count = min(region.readableBytes, TLSLimits.filePieceBytes)
        guard let bytes = Self.read(region, count, context.channel.allocator) else {
          // The file has shrunk.
          return fail(ChannelError.eof)
        }
        region.moveReaderIndex(forwardBy: count)
        if region.readableBytes == 0 {
          waiting.removeFirst()
          context.write(wrapOutboundOut(bytes), promise: promise)
        } else {
          waiting[waiting.startIndex].data = .fileRegion(region)
          return writePiece(bytes, context)
        }
      }
    }
  }

  private func writePiece(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
    isWriting = true
    context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenComplete { [self] result in
      isWriting = false
      switch result {
      case .success:
        writeWaiting(context)
        context.flush()
      case .failure(let error): fail(error)
      }
    }
  }

  private func fail(_ error: any Error) {
    while let (_, promise) = waiting.popFirst() { promise?.fail(error) }
  }

  func handlerRemoved(context: ChannelHandlerContext) { fail(ChannelError.ioOnClosedChannel) }

  private static func read(_ region: FileRegion, _ count: Int, _ allocator: ByteBufferAllocator) -> ByteBuffer? {
    var bytes = allocator.buffer(capacity: count)
    while bytes.readableBytes < count {
      let offset = off_t(region.readerIndex + bytes.readableBytes)
      let wanted = count - bytes.readableBytes
      let result = bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { memory in
        let result = try? region.fileHandle.withUnsafeFileDescriptor { descriptor in
          pread(descriptor, memory.baseAddress, wanted, offset)
        }
        return max(0, result ?? 0)
      }
      guard result > 0 else { return nil }
    }
    return bytes
  }
}
