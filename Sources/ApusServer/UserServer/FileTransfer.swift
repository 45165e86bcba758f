import Glibc
import NIOCore

/// A large file, open to be sent by sendfile(2) to any number of clients of one event loop.
final class OpenFile {
  let file: DocumentRoot.File
  let handle: NIOFileHandle

  init(_ file: DocumentRoot.File) {
    self.file = file
    handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.descriptor.number)
  }

  /// The descriptor belongs to `file`, which closes it.
  deinit { _ = try? handle.takeDescriptorOwnership() }

  /// Whether what is still to be sent belongs to what has been sent: the file is as it was, or has grown, as logs do.
  /// A file that has shrunk could not be sent to its end, one overwritten would arrive in pieces of two versions.
  var isUnchanged: Bool {
    guard let now = try? file.descriptor.metadata() else { return false }
    if now.size != file.metadata.size { return now.size > file.metadata.size }
    return now.modified_ns == file.metadata.modified_ns
  }
}

/// A large file, or parts of it, on the way to a client.
final class FileTransfer {
  fileprivate let open: OpenFile
  private var pieces: ArraySlice<PartialResponse.Piece>
  /// How far the first piece has come.
  private var offset = 0
  /// The piece that is the last of the file's: its end is read, not sent from the page cache.
  private let lastFilePiece: Int
  /// Whether the last bytes wait for a last look at the file: as soon as the socket has not taken all at once.
  fileprivate var holdsTailBack: Bool
  /// Whether the connection ends with it.
  let isLast: Bool
  /// Whether portions are being sent just now, so that it need not be begun again.
  fileprivate var isSending = false

  init(_ open: OpenFile, _ pieces: [PartialResponse.Piece], isLast: Bool, holdsTailBack: Bool) {
    self.open = open
    self.holdsTailBack = holdsTailBack
    self.pieces = pieces[...]
    lastFilePiece = pieces.lastIndex { if case .file = $0 { true } else { false } } ?? 0
    self.isLast = isLast
  }

  var isUnchanged: Bool { open.isUnchanged }
  /// Whether the portion given out is not the last one.
  var hasMore: Bool { !pieces.isEmpty }

  /// The next portion: `nil` after the last one.
  ///
  /// The file is looked at before each. What the socket takes are the very pages of the file (sendfile(2)), and no later
  /// look could call them back: a file overwritten while they are on their way is torn, one replaced by rename never.
  /// So where the socket takes everything at once that look is the last. Where it does not, the file has time to change:
  /// then the last bytes are read, not sent from the page cache, and the file is looked at once more before they leave.
  /// A client that gets all of them got one version, but for what the kernel still held.
  func nextPortion() throws(DocumentRootRefusal) -> IOData? {
    while let piece = pieces.first {
      switch piece {
      case .bytes(let bytes):
        endPiece()
        return .byteBuffer(ByteBuffer(bytes: bytes))
      case .file(let range):
        let start = range.lowerBound + offset
        guard start < range.upperBound else {
          endPiece()
          continue
        }
        let hasTail = holdsTailBack && pieces.startIndex == lastFilePiece
        let tail = hasTail ? max(range.lowerBound, range.upperBound - ServerLimits.fileTailBytes) : range.upperBound
        guard start < tail else {
          let bytes = try open.file.descriptor.read(range.upperBound - start, at: start)
          guard bytes.count == range.upperBound - start, isUnchanged else { throw .failed(errno: EIO) }
          endPiece()
          return .byteBuffer(ByteBuffer(bytes: bytes))
        }
        guard isUnchanged else { throw .failed(errno: EIO) }
        let end = min(start + ServerLimits.filePortionBytes, tail)
        offset = end - range.lowerBound
        return .fileRegion(FileRegion(fileHandle: open.handle, readerIndex: start, endIndex: end))
      }
    }
    return nil
  }

  /// The socket has not taken the end of the last portion.
  fileprivate func takeBack(_ count: Int) {
    offset -= count
    holdsTailBack = true
  }

  private func endPiece() {
    pieces.removeFirst()
    offset = 0
  }
}

extension ConnectionHandler {
  /// Begins to send a file, or parts of it, behind what has been collected.
  func send(
    _ file: OpenFile, _ pieces: [PartialResponse.Piece], isLast: Bool, _ context: ChannelHandlerContext
  ) {
    let transfer = FileTransfer(file, pieces, isLast: isLast, holdsTailBack: direct == nil)
    state = .sending(transfer)
    writeOutput(context, more: true)
    sendPortions(of: transfer, context)
  }

  /// Sends as long as the client takes it at once, up to the size of a portion; then others get their turn. Where the
  /// client does not, this is called again when what the channel holds is out.
  func sendPortions(of transfer: FileTransfer, _ context: ChannelHandlerContext) {
    guard !transfer.isSending else { return }
    transfer.isSending = true
    defer { transfer.isSending = false }
    var sent = 0
    while case .sending = state, flushQueue(context) {
      guard sent < ServerLimits.filePortionBytes else {
        context.eventLoop.assumeIsolated().execute { self.sendPortions(of: transfer, context) }
        return
      }
      do {
        guard let portion = try transfer.nextPortion() else {
          return transferEnded(context, isLast: transfer.isLast)
        }
        let written = write(portion, of: transfer, context)
        sent += written
        logged?.bodyBytes += written
      } catch {
        // Fewer bytes than Content-Length said: the client knows that it has not got the file.
        end(context)
        return
      }
    }
  }

  /// How many bytes are on their way, or wait in the channel.
  private func write(_ portion: IOData, of transfer: FileTransfer, _ context: ChannelHandlerContext) -> Int {
    switch portion {
    case .byteBuffer(let bytes): write(bytes, more: transfer.hasMore, context)
    case .fileRegion(var region):
      let taken = sendAtOnce(region, of: transfer.open)
      let left = region.readableBytes - taken
      if left > 0 && !transfer.holdsTailBack {
        transfer.takeBack(left)
        return taken
      }
      region.moveReaderIndex(forwardBy: taken)
      if left > 0 { enqueue(.fileRegion(region), context) }
    }
    return portion.readableBytes
  }
}
