import Glibc
import NIOCore

/// The socket under a connection's channel, for writes that need not wait: past the channel they cost a system call and
/// nothing else. What the socket does not take at once is the channel's, and until that is out all writes are.
struct DirectSocket {
  /// Valid as long as the channel is open.
  private let descriptor: CInt

  /// `nil` where the channel has no socket of its own.
  init?(_ channel: any Channel) {
    let operations = channel.pipeline.syncOperations
    guard let number = try? operations.withUnsafeTransportIfAvailable(of: CInt.self, { $0 }) else { return nil }
    descriptor = number
  }

  /// How many of the bytes the socket took; of its errors the channel learns by its own writing.
  ///
  /// - Parameter more: whether more follows at once, so that no segment is sent that is not full.
  func send(_ buffer: ByteBuffer, more: Bool) -> Int {
    let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL) | (more ? Int32(MSG_MORE) : 0)
    return buffer.withUnsafeReadableBytes { max(0, Glibc.send(descriptor, $0.baseAddress, $0.count, flags)) }
  }

  /// How many bytes of a file the socket took.
  func send(_ file: CInt, _ range: Range<Int>) -> Int {
    var offset = range.lowerBound
    while offset < range.upperBound {
      let start = offset
      guard sendfile(descriptor, file, &offset, range.upperBound - offset) > 0, offset > start else { break }
    }
    return offset - range.lowerBound
  }
}
