/// Whether a shared cache may keep an answer, and for how long: RFC 9111, sections 3 and 4.2, as a function of what was
/// asked and answered, with no clock and no state of its own.
///
/// Stricter than the RFC in these points: answers with Set-Cookie are never kept; nor are those that would have to be
/// validated before every use; a directive that is limited to some fields counts as if it were not; a Cache-Control
/// that is no list of directives forbids everything.
struct CachingRules: Sendable {
  /// How long an answer without explicit freshness is fresh, as the user of Apus says; `nil`: not at all.
  var ttl_s: Int?
  /// The files the server answers from are watched: Apus speaks for the server.
  var isWatched = false

  /// An answer and the request it belongs to.
  struct Exchange {
    var method = "GET"
    var hasAuthorization = false
    var status: Int
    /// Names in lower case.
    var fields: [(name: String, value: String)]
    /// CLOCK_REALTIME seconds, when the request was sent and when the answer had been received.
    var requestTime_s: Int
    var responseTime_s: Int
  }

  /// How long a stored answer may be repeated, counted from the time it was received.
  struct Freshness: Equatable, Sendable {
    /// Freshness lifetime (section 4.2.1); `nil`: for as long as its file is what it was.
    var lifetime_s: Int?
    /// `corrected_initial_age` (section 4.2.3): how old it was when it was received.
    var initialAge_s = 0
    /// It is repeated as the server's own answer of this moment: Date is now, and there is no Age.
    var isOwn = false

    /// `nil`: for ever.
    var remaining_s: Int? { lifetime_s.map { $0 - initialAge_s } }
  }

  enum Refusal: String, Error, Equatable, Sendable, CustomStringConvertible {
    case method = "the method is not GET"
    case status = "a status that is not kept"
    case authorization = "an answer to someone known"
    case setCookie = "it sets a cookie"
    case malformedCacheControl = "a malformed Cache-Control"
    case noStore = "Cache-Control: no-store"
    case isPrivate = "Cache-Control: private"
    case noCache = "Cache-Control: no-cache"
    case notUnderstood = "Cache-Control: must-understand, and the status is not understood"
    case varies = "it varies"
    case date = "no single valid Date"
    case noFreshness = "no freshness of its own"
    case stale = "it is not fresh"
    case age = "it comes from another cache"

    var description: String { rawValue }
  }

  /// Final statuses whose meaning for caches is known here (RFC 9110 section 15). 206 and 304 are parts of answers.
  private static let understood: Set<Int> = [
    200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 500, 501, 502, 503, 504,
  ]
  /// RFC 9110 section 15.1, without 206.
  private static let heuristicallyCacheable: Set<Int> = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]

  /// The decision about one answer.
  ///
  /// - Parameter varyAllowed: names in Vary, in lower case, whose values cannot make a difference, or are told apart.
  func freshness(of exchange: Exchange, varyAllowed: Set<String> = []) throws(Refusal) -> Freshness {
    let control = CacheControl(exchange.values("cache-control"))
    try checkStorable(exchange, control)
    for name in exchange.members("vary") where !varyAllowed.contains(name) { throw .varies }
    let date_s = try exchange.date_s
    guard let lifetime_s = try explicitLifetime_s(exchange, control, date_s) else {
      return try implicitFreshness(exchange, control, date_s)
    }
    if isWatched && exchange.values("expires").isEmpty {
      // The server would say the same of a new answer: the clients' time begins with each one.
      if lifetime_s == 0 { throw .stale }
      return Freshness(lifetime_s: ttl_s, isOwn: true)
    }
    let freshness = Freshness(lifetime_s: lifetime_s, initialAge_s: exchange.initialAge_s(date_s))
    if freshness.remaining_s! <= 0 { throw .stale }
    return freshness
  }

  /// Section 3, all but the freshness.
  private func checkStorable(_ exchange: Exchange, _ control: CacheControl) throws(Refusal) {
    if exchange.method != "GET" { throw .method }
    if exchange.status < 200 || exchange.status > 599 || exchange.status == 206 || exchange.status == 304 {
      throw .status
    }
    if isWatched && exchange.status != 200 { throw .status }
    if isWatched && !exchange.values("age").isEmpty { throw .age }
    if !exchange.values("set-cookie").isEmpty || !exchange.values("set-cookie2").isEmpty { throw .setCookie }
    if control.isMalformed { throw .malformedCacheControl }
    if control.has("must-understand") {
      // It outweighs no-store for whoever understands the status (section 5.2.2.3).
      if !Self.understood.contains(exchange.status) { throw .notUnderstood }
    } else if control.has("no-store") {
      throw .noStore
    }
    if control.has("private") { throw .isPrivate }
    if control.has("no-cache") { throw .noCache }
    // Pragma has no meaning in answers (section 5.4); who sends it means no-cache all the same.
    if control.directives.isEmpty, exchange.members("pragma").contains("no-cache") { throw .noCache }
    if exchange.hasAuthorization, !control.has("public"), !control.has("must-revalidate"), !control.has("s-maxage") {
      throw .authorization
    }
  }

  /// Section 4.2.1; `nil` where the answer says nothing.
  private func explicitLifetime_s(
    _ exchange: Exchange, _ control: CacheControl, _ date_s: Int
  ) throws(Refusal) -> Int? {
    for name in ["s-maxage", "max-age"] {
      switch control.seconds(name) {
      case .absent: continue
      case .invalid: throw .stale
      case .seconds(let seconds): return seconds
      }
    }
    let expires = exchange.values("expires")
    guard let first = expires.first else { return nil }
    // Two that differ: the RFC lets a cache take the answer for stale. So does it for what is no date, such as 0.
    guard expires.allSatisfy({ $0 == first }), let expires_s = HTTPDate.parse(first.utf8, now: exchange.responseTime_s)
    else { throw .stale }
    return min(max(expires_s - date_s, 0), DeltaSeconds.max_s)
  }

  /// For an answer that says nothing of its freshness (section 4.2.2).
  private func implicitFreshness(
    _ exchange: Exchange, _ control: CacheControl, _ date_s: Int
  ) throws(Refusal) -> Freshness {
    if isWatched { return Freshness(lifetime_s: ttl_s, isOwn: true) }
    guard Self.heuristicallyCacheable.contains(exchange.status) || control.has("public"), let ttl_s else {
      throw .noFreshness
    }
    let freshness = Freshness(lifetime_s: ttl_s, initialAge_s: exchange.initialAge_s(date_s))
    if freshness.remaining_s! <= 0 { throw .stale }
    return freshness
  }
}

extension CachingRules.Exchange {
  func values(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

  /// The members of a comma-separated list field, in lower case (RFC 9110 section 5.6.1).
  func members(_ name: String) -> [String] {
    values(name).flatMap { $0.split(separator: ",") }
      .map { $0.drop { $0 == " " || $0 == "\t" } }
      .map { String($0.prefix { $0 != " " && $0 != "\t" }).lowercased() }
      .filter { !$0.isEmpty }
  }

  /// When the answer was made. Without a Date that is when it was received (RFC 9110 section 6.6.1).
  fileprivate var date_s: Int {
    get throws(CachingRules.Refusal) {
      let dates = values("date")
      guard let date = dates.first else { return responseTime_s }
      guard dates.count == 1, let date_s = HTTPDate.parse(date.utf8, now: responseTime_s) else { throw .date }
      return date_s
    }
  }

  /// `corrected_initial_age` of RFC 9111 section 4.2.3.
  fileprivate func initialAge_s(_ date_s: Int) -> Int {
    // Of several members the first counts, and what is no number is ignored (section 5.1).
    let first = values("age").first.map { $0.prefix { $0 != "," } }
    let age_s = first.flatMap { DeltaSeconds.parse(String($0.filter { $0 != " " && $0 != "\t" })) } ?? 0
    let apparentAge_s = max(0, responseTime_s - date_s)
    let correctedAge_s = age_s + max(0, responseTime_s - requestTime_s)
    return max(apparentAge_s, correctedAge_s)
  }
}
