import Glibc
import NIOCore

/// A large file on its way to a client by sendfile(2).
final class FileTransfer {
  private let file: DocumentRoot.File
  private let handle: NIOFileHandle
  private var offset = 0
  /// Whether the connection ends with it.
  let isLast: Bool

  init(_ file: DocumentRoot.File, isLast: Bool) {
    self.file = file
    handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.descriptor.number)
    self.isLast = isLast
  }

  /// The descriptor belongs to `file` again. Nothing may be on its way any more.
  func release() {
    _ = try? handle.takeDescriptorOwnership()
  }

  /// Whether what is still to be sent belongs to what has been sent: the file is as it was, or has grown, as logs do.
  /// A file that has shrunk could not be sent to its end, one overwritten would arrive in pieces of two versions.
  var isUnchanged: Bool {
    guard let now = try? file.descriptor.metadata() else { return false }
    if now.size != file.metadata.size { return now.size > file.metadata.size }
    return now.modified_ns == file.metadata.modified_ns
  }

  /// The next portion: `nil` after the last one.
  ///
  /// The last bytes are read instead, and the file looked at once more behind that: whoever receives them has received
  /// one version of the file. (But for what the kernel still holds unsent: sendfile(2) passes on the very pages of the
  /// file. Files replaced by rename are never torn.)
  func nextPortion() throws(DocumentRootRefusal) -> IOData? {
    let size = file.metadata.size
    guard offset < size else { return nil }
    let tail = max(0, size - ServerLimits.fileTailBytes)
    guard offset < tail else {
      let bytes = try file.descriptor.read(size - offset, at: offset)
      guard bytes.count == size - offset, isUnchanged else { throw .failed(errno: EIO) }
      offset = size
      return .byteBuffer(ByteBuffer(bytes: bytes))
    }
    let end = min(offset + ServerLimits.filePortionBytes, tail)
    defer { offset = end }
    return .fileRegion(FileRegion(fileHandle: handle, readerIndex: offset, endIndex: end))
  }
}

extension ConnectionHandler {
  /// Begins to send a file behind what has been collected.
  func send(_ file: DocumentRoot.File, isLast: Bool, _ context: ChannelHandlerContext) {
    let transfer = FileTransfer(file, isLast: isLast)
    state = .sending(transfer)
    writeOutput(context)
    sendPortion(of: transfer, context)
  }

  private func sendPortion(of transfer: FileTransfer, _ context: ChannelHandlerContext) {
    guard case .sending = state else { return }
    let portion: IOData?
    do {
      guard transfer.isUnchanged else { throw DocumentRootRefusal.failed(errno: EIO) }
      portion = try transfer.nextPortion()
    } catch {
      // Fewer bytes than Content-Length said: the client knows that it has not got the file.
      context.close(promise: nil)
      return
    }
    guard let portion else {
      transfer.release()
      transferEnded(context, isLast: transfer.isLast)
      return
    }
    let isOut = context.eventLoop.makePromise(of: Void.self)
    isOut.futureResult.assumeIsolated().whenComplete { [self] result in
      guard case .success = result else {
        context.close(promise: nil)
        return
      }
      // Not at once: other connections get their turn.
      context.eventLoop.assumeIsolated().execute { self.sendPortion(of: transfer, context) }
    }
    needsFlush = false
    context.write(wrapOutboundOut(portion), promise: isOut)
    context.flush()
  }
}
