/// A request method (RFC 9110 section 9, RFC 5789), as far as Apus tells them apart.
enum RequestMethod: Equatable, Sendable {
  case get
  case head
  case options
  /// Known, and not for files: POST, PUT, DELETE, PATCH, CONNECT, TRACE.
  case notAllowed
  /// No method Apus knows.
  case unknown

  init(_ name: UnsafeRawBufferPointer) {
    func isEqual(_ other: StaticString) -> Bool {
      name.count == other.utf8CodeUnitCount && name.elementsEqual(UnsafeBufferPointer(other))
    }
    if isEqual("GET") {
      self = .get
    } else if isEqual("HEAD") {
      self = .head
    } else if isEqual("OPTIONS") {
      self = .options
    } else if isEqual("POST") || isEqual("PUT") || isEqual("DELETE") || isEqual("PATCH") || isEqual("CONNECT")
      || isEqual("TRACE")
    {
      self = .notAllowed
    } else {
      self = .unknown
    }
  }
}

extension UnsafeBufferPointer<UInt8> {
  init(_ text: StaticString) {
    self.init(start: text.utf8Start, count: text.utf8CodeUnitCount)
  }
}

/// The preconditions of a request, and the parts asked for, as its fields give them. Rare, so apart from the head.
struct Conditions: Equatable, Sendable {
  /// Values of a list field, one for each field line; empty where there is none.
  var ifMatch: [Range<Int>] = []
  var ifNoneMatch: [Range<Int>] = []
  /// A date that is given twice means nothing: an empty value is no date.
  var ifModifiedSince: Range<Int>?
  var ifUnmodifiedSince: Range<Int>?
  /// The same for ranges, and for what they depend on.
  var range: Range<Int>?
  var ifRange: Range<Int>?
}

/// What Apus needs of a request. Ranges are offsets into the bytes the parser was given.
struct RequestHead: Equatable, Sendable {
  var method = RequestMethod.unknown
  /// Whether the request is HTTP/1.1 or a later 1.x.
  var is11 = false
  /// The path of the target, without its query. Empty for `OPTIONS *` and for CONNECT.
  var path = 0..<0
  /// What follows the path: the query with its question mark, or nothing.
  var query = 0..<0
  /// The authority: of the target where it is in absolute form (RFC 9112 section 3.2.2), else the Host field.
  var host = 0..<0
  /// The first Accept field; empty where there is none.
  var accept = 0..<0
  /// The preconditions, where there are any (RFC 9110 sections 13.1 and 14.2).
  var conditions: Conditions?
  /// The value of Accept-Encoding, if there is one; empty where it is given twice.
  var acceptEncoding: Range<Int>?
  /// Whether the connection may be used again after the answer (RFC 9112 section 9.3).
  var isPersistent = false
  /// Whether the request has a body, be it of no bytes.
  var hasBody = false
  /// Where the body was not read with the head: the client waits for leave to send it, or it is too large. The
  /// connection must be closed after the answer.
  var leavesBody = false
  /// Whether the body is larger than Apus reads.
  var bodyIsTooLarge = false
  /// How a body that the parser leaves to its caller ends.
  var framing = BodyFraming.none
  /// Whether the client waits for leave to send that body.
  var expectsContinue = false
}

/// Why a request cannot be answered, and its connection must be closed: where it ends is in doubt, or its sender is.
struct RequestError: Error, Equatable {
  var status: Status
  /// For tests and logs.
  var reason: StaticString
  /// Whether the request is known to be a HEAD, whose answer has no body.
  var isHead = false

  init(_ status: Status, _ reason: StaticString, isHead: Bool = false) {
    self.status = status
    self.reason = reason
    self.isHead = isHead
  }

  static func == (left: RequestError, right: RequestError) -> Bool {
    left.status == right.status && left.isHead == right.isHead
  }
}
