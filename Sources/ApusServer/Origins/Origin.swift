import Contract

/// What an object of the cache is known by.
struct ObjectKey: Hashable, Sendable {
  /// The site, as the kernel part tells it from Host.
  var site: UInt16
  /// The path of the request target exactly as sent, without a query.
  var path: [UInt8]
}

/// A request for an object: its key and the Host value it came with.
struct ObjectRequest: Sendable {
  var key: ObjectKey
  var host: [UInt8]
}

/// A name in a directory that an answer depends on. Whatever happens to the name (created, changed, replaced,
/// moved, removed) makes the answer doubtful.
struct NameDependency: Hashable, Sendable {
  /// Absolute path of the directory, without symbolic links.
  var directory: String
  /// `nil`: every name in the directory.
  var name: String?
}

/// An answer ready to be stored: what the answer to a path is, in every content coding there is.
struct ComposedObject: Sendable {
  struct Head: Sendable, Equatable {
    /// From the status line to the empty line; the Date value's 29 bytes are whatever they are.
    var bytes: [UInt8]
    /// Where the Date value begins, if there is one.
    var dateOffset: Int?
  }

  /// The answer in one content coding: the response head for each kind of request, and the body they share.
  struct Representation: Sendable {
    /// By `VariantIndex`; `nil` where such a request must be handed over.
    var heads: [Head?]
    var body: [UInt8]
    /// What may be concluded from it.
    var conditions = Conditions.unknown
    /// HEAD is answered with the head of GET.
    var answersHead = false
  }

  /// What becomes of a request with preconditions (RFC 9110 section 13.1).
  enum Conditions: Sendable {
    /// The server behind knows.
    case unknown
    /// They do not matter, as for every answer that is not 2xx.
    case ignored
    /// They are evaluated; `heads`, by `VariantIndex`, are those of 304.
    case evaluated(Validators, heads: [Head?])
    /// Those that say the validators again, to the byte, get `heads`; for others the server behind knows.
    case repeated(Validators, heads: [Head?])
  }

  struct Validators: Sendable, Equatable {
    /// An opaque-tag with its quotation marks: the ETag without its `W/`, if it has that. Of `Conditions.repeated` the
    /// whole ETag, and empty where there is none.
    var tag: [UInt8]
    /// An IMF-fixdate. Of `Conditions.repeated` empty where there is none.
    var lastModified: [UInt8]
  }

  enum Availability: Sendable {
    /// There is none: who prefers it gets the next one.
    case none
    /// There is one, and it is not stored: who prefers it is handed over.
    case elsewhere
    case stored(Representation)
  }

  /// What a request with one value of Accept-Encoding gets.
  struct EncodingEntry: Sendable, Equatable {
    /// To the byte, at most `AcceptEncodingEntry.valueBytesMax` of them; `nil`: the request has no such field.
    var value: [UInt8]?
    /// Index of the representation.
    var representation: Int
  }

  /// By `ContentCoding`; with `encodings` in any order.
  var representations: [Availability]
  /// Not empty: the representation is chosen by the value of Accept-Encoding, and any other value is handed over.
  var encodings: [EncodingEntry] = []
  /// Says that there is nothing: such objects may take only a part of the store.
  var isNegative = false

  /// CLOCK_REALTIME second from which the Age counts that every head ends with (`AgeField`); `nil`: none has one.
  var ageBase_s: UInt32?
  /// A request of HTTP/1.1 that says `Connection: keep-alive` is answered with another head.
  var keepAliveDiffers = false
  /// CLOCK_MONOTONIC time from which the object must not be answered any more.
  var expires_ns: UInt64?

  init(representations: [Availability], isNegative: Bool = false) {
    precondition(representations.count == ContentCoding.count, "one for each content coding")
    self.representations = representations
    self.isNegative = isNegative
  }

  /// The same answer whatever codings the client accepts.
  init(_ representation: Representation, isNegative: Bool = false) {
    self.init(representations: [.stored(representation), .none, .none, .none], isNegative: isNegative)
  }

  init(heads: [Head?], body: [UInt8]) { self.init(Representation(heads: heads, body: body)) }

  func representation(_ coding: ContentCoding) -> Representation? {
    if case .stored(let representation) = representations[Int(coding.rawValue)] { representation } else { nil }
  }

  /// Heads and body without a content coding.
  var heads: [Head?] {
    get { representation(.identity)?.heads ?? [] }
    set {
      guard var identity = representation(.identity) else { return }
      identity.heads = newValue
      representations[0] = .stored(identity)
    }
  }
  /// Of the answer without a content coding.
  var conditions: Conditions {
    get { representation(.identity)?.conditions ?? .unknown }
    set {
      guard var identity = representation(.identity) else { return }
      identity.conditions = newValue
      representations[0] = .stored(identity)
    }
  }
  var answersHead: Bool {
    get { representation(.identity)?.answersHead ?? false }
    set {
      guard var identity = representation(.identity) else { return }
      identity.answersHead = newValue
      representations[0] = .stored(identity)
    }
  }
  var body: [UInt8] {
    get { representation(.identity)?.body ?? [] }
    set {
      guard var identity = representation(.identity) else { return }
      identity.body = newValue
      representations[0] = .stored(identity)
    }
  }
}

/// Why an origin gives no object to store; the user-mode half answers such a request.
enum OriginRefusal: Error, Equatable {
  /// Never worth storing as things are: no such file, too large, not allowed by its own cache rules.
  case notStorable(String)
  /// The file was written moments ago: worth another try after so many milliseconds.
  case notQuiet(retryAfter_ms: Int)
  case failed(String)
}

/// Where objects come from: a document root, or the answers of a server behind.
protocol Origin: Sendable {
  /// Composes the answer to a request anew of which an older one is stored, if that spares anything.
  func renew(
    _ request: ObjectRequest, stored: ComposedObject, watch: (NameDependency) throws -> Void
  ) throws -> ComposedObject

  /// Composes the answer to a request.
  ///
  /// - Parameter watch: called with every name the answer depends on, *before* the name is looked up, so that no
  ///   change between looking and storing goes unseen. Throws when the name cannot be watched.
  func compose(_ request: ObjectRequest, watch: (NameDependency) throws -> Void) throws -> ComposedObject
}

extension Origin {
  func renew(
    _ request: ObjectRequest, stored: ComposedObject, watch: (NameDependency) throws -> Void
  ) throws -> ComposedObject {
    try compose(request, watch: watch)
  }
}
