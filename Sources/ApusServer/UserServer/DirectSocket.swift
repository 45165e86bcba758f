import Glibc
import NIOCore

/// The socket under a connection's channel, for reads and writes that need not wait: past the channel they cost a system
/// call and nothing else. What the socket does not take at once is the channel's, and until that is out all writes are.
struct DirectSocket {
  /// Valid as long as the channel is open.
  private let descriptor: CInt

  /// `nil` where the channel has no socket of its own.
  ///
  /// NIO's `withUnsafeTransportIfAvailable` would give the same, by a cast to a protocol with its associated type, which
  /// the Swift runtime decides anew each time: a fifteenth of what a short connection costs. This cast it remembers.
  init?(_ channel: any Channel) {
    guard let core = channel._channelCore as? any NIOTransportAccessibleChannelCore,
      let number = Self.descriptor(of: core)
    else { return nil }
    descriptor = number
  }

  private static func descriptor(of core: some NIOTransportAccessibleChannelCore) -> CInt? {
    (try? core.withUnsafeTransport { $0 as? CInt }) ?? nil
  }

  /// Reads what has come into the room the buffer has; whether there was anything. Of the end and of errors the channel
  /// learns by its own reading.
  func receive(into buffer: inout ByteBuffer) -> Bool {
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 0) {
      max(0, recv(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)))
    } > 0
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
