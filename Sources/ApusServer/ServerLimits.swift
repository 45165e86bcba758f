/// Every limit of the user-mode half, in one place. Units are last in the names.
enum ServerLimits {
  // MARK: Requests

  /// A longer head is answered 431 (RFC 6585 section 5).
  static let headBytesMax = 32 * 1024
  /// A longer request target is answered 414. RFC 9112 section 3 asks for at least 8000 bytes of request line.
  static let targetBytesMax = 8 * 1024
  /// No registered method is longer; a longer one is answered 501 (RFC 9112 section 3).
  static let methodBytesMax = 32
  /// More field lines are answered 431.
  static let fieldLinesMax = 128
  /// Empty lines before a request line that are ignored (RFC 9112 section 2.2 asks for at least one).
  static let emptyLinesMax = 4
  /// A request body up to this size, chunk framing included, is read and discarded; after a larger one the
  /// connection is closed.
  static let bodyBytesMax = 64 * 1024

  // MARK: Files

  /// Files up to this size are kept in memory; larger ones are sent with sendfile(2).
  static let cachedFileBytesMax = 64 * 1024
  /// Default budget of the in-memory file cache, for all event loops together.
  static let fileCacheBytesDefault = 64 * 1024 * 1024
  /// A cached file is answered without looking at its path for this long. The old version of a replaced file
  /// is answered no later than this after the replacement (Apus promises 1 s).
  static let fileValidity_ms = 100
  /// A file is quiet when its last change is at least this old: longer than the tick file times come from
  /// (10 ms at most), so that a further change cannot hide behind an equal time.
  static let quiet_ms = 200
  /// The same where file times may be of whole, or of even, seconds (ext4 with small inodes, vfat).
  static let quietCoarse_ms = 2200
  /// Files with a change time in the future of the clock that are watched for quietness at a time.
  static let unquietFilesMax = 1024
  /// Bodies up to this size are copied behind their head, larger ones are written from where they are.
  static let copiedBodyBytesMax = 16 * 1024
  /// Bytes handed to sendfile(2) at a time; the file is looked at again before each portion.
  static let filePortionBytes = 2 << 20
  /// The last bytes of a large file, which to a slow client are not sent with sendfile(2) but read.
  static let fileTailBytes = 1024
  /// Large files kept open, all event loops together.
  static let openFilesMax = 256
  /// A large file that nobody asked for so long is closed: it may have been removed, and its disk space is held.
  static let openFileIdle_s = 10
  /// Entries of a directory that are listed; looking at them keeps others waiting.
  static let listingEntriesMax = 4096
  /// Attempts to read a file between two equal looks at its times before it is answered without validators.
  static let readAttemptsMax = 3
  /// Symbolic links followed in one path, as many as the kernel follows (MAXSYMLINKS, include/linux/namei.h).
  static let symbolicLinksMax = 40

  // MARK: Connections

  /// Default of connections open at once; RLIMIT_NOFILE may lower it.
  static let connectionsMaxDefault = 50_000
  /// Descriptors kept free of connections: listeners, event loops, open files, the kernel half.
  static let descriptorsReserved = 128 + openFilesMax
  /// Entries of the accept queue; net.core.somaxconn may lower it.
  static let listenBacklog: Int32 = 4096
  /// Connections accepted in one go before others get their turn.
  static let acceptsPerWake: UInt = 64
  /// While connections wait because so many are open, one in so many of an event loop's is closed each second, of those
  /// that are idle.
  static let idleShareClosedAtLimit = 8
  /// Bytes of one read from a connection.
  static let readBytes = 4096
  /// Answers to pipelined requests are collected up to this size before they are written. It is also the memory a
  /// client that does not read keeps occupied.
  static let outputBytesMax = 32 * 1024
  /// After an error bytes still coming in are read and thrown away up to this many, so that the answer is not
  /// destroyed by a reset (RFC 9112 section 9.6).
  static let lingerBytesMax = 256 * 1024

  // MARK: Access log

  /// Bytes of a target, a Referer, a User-Agent or a Host beyond which a line of the log has "..." instead.
  static let accessLogFieldBytesMax = 4096
  /// Bytes of lines that wait for the log's thread; further ones are lost, and counted.
  static let accessLogQueueBytesMax = 4 * 1024 * 1024
  /// A batch is written when it has this many bytes, or when there is nothing more to put into it.
  static let accessLogBatchBytes = 256 * 1024
  /// How long lines are collected: the kernel part wakes the log's thread at most once in that time.
  static let accessLogPause_ms: Int32 = 10
  /// Between two messages that lines are lost.
  static let accessLogComplaint_s = 10

  // MARK: Time

  /// From the first byte of a request, or the start of the connection, to its last byte.
  static let headTimeout_s = 30
  /// Between two requests.
  static let idleTimeout_s = 75
  /// Without a byte of the answer taken by the client.
  static let writeStallTimeout_s = 60
  /// A client that takes fewer bytes of its answers in that time is cut off, too: 1 byte a minute is no download.
  static let writeBytesMin = 16 * 1024
  /// Reading after the last answer, before the connection is closed for good.
  static let lingerTimeout_s = 2
  /// To connect to the backend.
  static let connectTimeout_s = 5
  /// From the start of a graceful shutdown to closing connections that are still busy.
  static let shutdownGrace_s = 10
}
