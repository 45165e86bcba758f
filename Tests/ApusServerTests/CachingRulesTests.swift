import Testing

@testable import ApusServer

/// RFC 9111 as a table: an answer, and what a shared cache makes of it.
@Suite struct CachingRulesTests {
  typealias Refusal = CachingRules.Refusal

  /// One line of the table. The answer is received at the second its Date names, unless fields or times say otherwise.
  struct Case: Sendable, CustomTestStringConvertible {
    enum Outcome: Equatable, Sendable {
      /// Kept for so many seconds, of which so many have passed when it was received.
      case fresh(Int, age: Int = 0)
      /// Kept as the server's own answer; for so long.
      case own(Int?)
      case refused(Refusal)
    }

    var fields: [String]
    var status = 200
    var method = "GET"
    var authorization = false
    var ttl_s: Int?
    var isWatched = false
    var varyAllowed: Set<String> = []
    /// The Date is the first field unless this is false.
    var hasDate = true
    /// Seconds from the request to the answer.
    var delay_s = 0
    var outcome: Outcome

    init(_ fields: String..., outcome: Outcome) {
      self.fields = fields
      self.outcome = outcome
    }

    func with(_ change: (inout Case) -> Void) -> Case {
      var copy = self
      change(&copy)
      return copy
    }
    func status(_ status: Int) -> Case { with { $0.status = status } }
    func ttl(_ seconds: Int) -> Case { with { $0.ttl_s = seconds } }
    var watched: Case { with { $0.isWatched = true } }
    var known: Case { with { $0.authorization = true } }
    var undated: Case { with { $0.hasDate = false } }
    func delay(_ seconds: Int) -> Case { with { $0.delay_s = seconds } }
    func allowing(_ names: String...) -> Case { with { $0.varyAllowed = Set(names) } }

    var testDescription: String {
      var words = fields.map { "\($0);" }
      if status != 200 { words.insert("\(status)", at: 0) }
      if let ttl_s { words.append("ttl \(ttl_s)") }
      if isWatched { words.append("watched") }
      if authorization { words.append("with Authorization") }
      if method != "GET" { words.append(method) }
      return words.joined(separator: " ") + " -> \(outcome)"
    }

    var decided: Outcome {
      let lines = (hasDate ? ["Date: \(Self.date(0))"] : []) + fields
      let parts = lines.map { line in
        let name = line.prefix { $0 != ":" }
        return (name: name.lowercased(), value: String(line.dropFirst(name.count + 1).drop { $0 == " " }))
      }
      let exchange = CachingRules.Exchange(
        method: method, hasAuthorization: authorization, status: status, fields: parts,
        requestTime_s: Self.now_s - delay_s, responseTime_s: Self.now_s)
      do throws(Refusal) {
        let rules = CachingRules(ttl_s: ttl_s, isWatched: isWatched)
        let freshness = try rules.freshness(of: exchange, varyAllowed: varyAllowed)
        return freshness.isOwn
          ? .own(freshness.lifetime_s) : .fresh(freshness.lifetime_s ?? -1, age: freshness.initialAge_s)
      } catch { return .refused(error) }
    }

    static let now_s = 1_800_000_000
    /// The date of so many seconds from now.
    static func date(_ offset_s: Int) -> String { String(decoding: HTTPDate.bytes(now_s + offset_s), as: UTF8.self) }
  }

  private static func cacheControl(_ value: String, _ outcome: Case.Outcome) -> Case {
    Case("Cache-Control: \(value)", outcome: outcome)
  }
  private static func expires(_ offset_s: Int, _ outcome: Case.Outcome) -> Case {
    Case("Expires: \(Case.date(offset_s))", outcome: outcome)
  }

  static let directives: [Case] = [
    cacheControl("max-age=60", .fresh(60)), cacheControl("max-age=1", .fresh(1)),
    cacheControl("s-maxage=60", .fresh(60)), cacheControl("public, max-age=60", .fresh(60)),
    cacheControl("MAX-AGE=60", .fresh(60)), cacheControl("Public,S-MaxAge=9", .fresh(9)),
    cacheControl("s-maxage=10, max-age=60", .fresh(10)), cacheControl("max-age=60, s-maxage=10", .fresh(10)),
    cacheControl("max-age=0, s-maxage=10", .fresh(10)), cacheControl("max-age=60, s-maxage=0", .refused(.stale)),
    cacheControl("max-age=0", .refused(.stale)), cacheControl("s-maxage=0", .refused(.stale)),
    cacheControl("max-age=\"60\"", .fresh(60)), cacheControl("max-age=\"6\\0\"", .fresh(60)),
    cacheControl("max-age=\"\"", .refused(.stale)), cacheControl("max-age=007", .fresh(7)),
    cacheControl("max-age=2147483648", .fresh(DeltaSeconds.max_s)),
    cacheControl("max-age=99999999999999999999999", .fresh(DeltaSeconds.max_s)),
    cacheControl("max-age=-1", .refused(.stale)), cacheControl("max-age=1.5", .refused(.stale)),
    cacheControl("max-age=60s", .refused(.stale)), cacheControl("max-age", .refused(.stale)),
    cacheControl("max-age=x, s-maxage=5", .fresh(5)), cacheControl("max-age=5, s-maxage=x", .refused(.stale)),
    cacheControl("max-age=60, max-age=60", .fresh(60)), cacheControl("max-age=60, max-age=61", .refused(.stale)),
    cacheControl("max-age=60, max-age", .refused(.stale)), cacheControl("s-maxage=1, s-maxage=2", .refused(.stale)),
    cacheControl("max-age =60", .refused(.malformedCacheControl)),
    cacheControl("max-age= 60", .refused(.malformedCacheControl)),
    cacheControl("max-age=60 public", .refused(.malformedCacheControl)),
    cacheControl("max-age=\"60", .refused(.malformedCacheControl)),
    cacheControl("max-age=60; public", .refused(.malformedCacheControl)),
    cacheControl("=60", .refused(.malformedCacheControl)), cacheControl(", ,max-age=60,,", .fresh(60)),
    cacheControl("no-store", .refused(.noStore)), cacheControl("no-store, max-age=60", .refused(.noStore)),
    cacheControl("public, no-store, s-maxage=60", .refused(.noStore)), cacheControl("No-Store", .refused(.noStore)),
    cacheControl("no-store=\"x\", max-age=5", .refused(.noStore)),
    cacheControl("private", .refused(.isPrivate)), cacheControl("private, max-age=60", .refused(.isPrivate)),
    cacheControl("private, s-maxage=60", .refused(.isPrivate)), cacheControl("public, private", .refused(.isPrivate)),
    cacheControl("private=\"X-User\", max-age=60", .refused(.isPrivate)),
    cacheControl("no-cache", .refused(.noCache)), cacheControl("no-cache, max-age=60", .refused(.noCache)),
    cacheControl("no-cache=\"X-A, X-B\", max-age=60", .refused(.noCache)),
    cacheControl("max-age=60, must-revalidate", .fresh(60)), cacheControl("must-revalidate", .refused(.noFreshness)),
    cacheControl("max-age=60, proxy-revalidate", .fresh(60)), cacheControl("s-maxage=5, no-transform", .fresh(5)),
    cacheControl("max-age=60, immutable", .fresh(60)), cacheControl("immutable", .refused(.noFreshness)),
    cacheControl("max-age=60, stale-while-revalidate=600", .fresh(60)),
    cacheControl("max-age=60, stale-if-error=600", .fresh(60)),
    cacheControl("max-age=0, stale-while-revalidate=600", .refused(.stale)),
    cacheControl("max-age=60, community=\"UCI, x=y\"", .fresh(60)), cacheControl("unheard-of", .refused(.noFreshness)),
    cacheControl("max-age=60, unheard-of=\"no-store\"", .fresh(60)),
    cacheControl("max-age=60, xno-store", .fresh(60)), cacheControl("", .refused(.noFreshness)),
    cacheControl("public", .refused(.noFreshness)), cacheControl("only-if-cached, max-age=60", .fresh(60)),
    Case("Cache-Control: max-age=60", "Cache-Control: no-store", outcome: .refused(.noStore)),
    Case("Cache-Control: max-age=60", "Cache-Control: max-age=30", outcome: .refused(.stale)),
    Case("Cache-Control: public", "Cache-Control: s-maxage=30", outcome: .fresh(30)),
    Case("CDN-Cache-Control: max-age=60", outcome: .refused(.noFreshness)),
    Case("Pragma: no-cache", outcome: .refused(.noCache)), Case("Pragma: no-cache", outcome: .refused(.noCache)).ttl(9),
    Case("Pragma: no-cache", "Cache-Control: max-age=60", outcome: .fresh(60)),
    Case("Pragma: x", "Expires: \(Case.date(5))", outcome: .fresh(5)),
  ]

  static let mustUnderstand: [Case] = [
    cacheControl("must-understand, no-store, max-age=60", .fresh(60)),
    cacheControl("must-understand, no-store, max-age=60", .fresh(60)).status(404),
    cacheControl("must-understand, no-store, max-age=60", .refused(.notUnderstood)).status(299),
    cacheControl("must-understand, max-age=60", .refused(.notUnderstood)).status(418),
    cacheControl("must-understand, no-store, private, max-age=60", .refused(.isPrivate)),
    cacheControl("must-understand, no-store", .refused(.noFreshness)),
  ]

  static let expiry: [Case] = [
    expires(60, .fresh(60)), expires(1, .fresh(1)), expires(0, .refused(.stale)), expires(-60, .refused(.stale)),
    expires(60, .refused(.stale)).status(206).with { $0.outcome = .refused(.status) },
    Case("Expires: 0", outcome: .refused(.stale)), Case("Expires: -1", outcome: .refused(.stale)),
    Case("Expires:", outcome: .refused(.stale)), Case("Expires: never", outcome: .refused(.stale)),
    Case("Expires: 0", "Cache-Control: max-age=60", outcome: .fresh(60)),
    Case("Expires: \(Case.date(-9))", "Cache-Control: max-age=60", outcome: .fresh(60)),
    Case("Expires: \(Case.date(600))", "Cache-Control: max-age=60", outcome: .fresh(60)),
    Case("Expires: \(Case.date(600))", "Cache-Control: s-maxage=6", outcome: .fresh(6)),
    Case("Expires: \(Case.date(600))", "Cache-Control: max-age=0", outcome: .refused(.stale)),
    Case("Expires: \(Case.date(600))", "Cache-Control: no-cache", outcome: .refused(.noCache)),
    Case("Expires: \(Case.date(60))", "Expires: \(Case.date(60))", outcome: .fresh(60)),
    Case("Expires: \(Case.date(60))", "Expires: \(Case.date(90))", outcome: .refused(.stale)),
    Case("Expires: \(Case.date(60))", "Expires: 0", outcome: .refused(.stale)),
    Case("Expires: Friday, 15-Jan-27 08:01:00 GMT", outcome: .fresh(60)),
    Case("Expires: Fri Jan 15 08:01:00 2027", outcome: .fresh(60)),
    Case("Expires: Fri, 15 Jan 2027 08:01:00 CET", outcome: .refused(.stale)),
    Case("Expires: Fri, 32 Jan 2027 08:01:00 GMT", outcome: .refused(.stale)),
    Case("Expires: Fri, 31 Dec 9999 23:59:59 GMT", outcome: .fresh(DeltaSeconds.max_s)),
    // No Date: it is taken for made when it was received.
    expires(60, .fresh(60)).undated,
  ]

  static let ages: [Case] = [
    Case("Cache-Control: max-age=60", "Age: 10", outcome: .fresh(60, age: 10)),
    Case("Cache-Control: max-age=60", "Age: 0", outcome: .fresh(60)),
    Case("Cache-Control: max-age=60", "Age: 59", outcome: .fresh(60, age: 59)),
    Case("Cache-Control: max-age=60", "Age: 60", outcome: .refused(.stale)),
    Case("Cache-Control: max-age=60", "Age: 99999999999999999999", outcome: .refused(.stale)),
    Case("Cache-Control: max-age=60", "Age: -5", outcome: .fresh(60)),
    Case("Cache-Control: max-age=60", "Age: soon", outcome: .fresh(60)),
    Case("Cache-Control: max-age=60", "Age: 5, 50", outcome: .fresh(60, age: 5)),
    Case("Cache-Control: max-age=60", "Age: 7", "Age: 50", outcome: .fresh(60, age: 7)),
    Case("Cache-Control: max-age=60", outcome: .fresh(60, age: 3)).delay(3),
    Case("Cache-Control: max-age=60", "Age: 10", outcome: .fresh(60, age: 13)).delay(3),
    Case("Cache-Control: max-age=2", outcome: .refused(.stale)).delay(2),
    // A clock that was set back between request and answer.
    Case("Cache-Control: max-age=60", outcome: .fresh(60)).delay(-5),
    Case("Date: \(Case.date(-10))", "Cache-Control: max-age=60", outcome: .fresh(60, age: 10)).undated,
    Case("Date: \(Case.date(-10))", "Age: 4", "Cache-Control: max-age=60", outcome: .fresh(60, age: 10)).undated,
    Case("Date: \(Case.date(-10))", "Age: 14", "Cache-Control: max-age=60", outcome: .fresh(60, age: 14)).undated,
    Case("Date: \(Case.date(-61))", "Cache-Control: max-age=60", outcome: .refused(.stale)).undated,
    Case("Date: \(Case.date(3600))", "Cache-Control: max-age=60", outcome: .fresh(60)).undated,
    Case("Date: \(Case.date(-10))", "Expires: \(Case.date(20))", outcome: .fresh(30, age: 10)).undated,
    Case("Date: \(Case.date(3600))", "Expires: \(Case.date(20))", outcome: .refused(.stale)).undated,
    Case("Cache-Control: max-age=60", outcome: .fresh(60)).undated,
    Case("Cache-Control: max-age=60", outcome: .fresh(60, age: 2)).undated.delay(2),
    Case("Date: yesterday", "Cache-Control: max-age=60", outcome: .refused(.date)).undated,
    Case("Date: \(Case.date(0))", "Cache-Control: max-age=60", outcome: .refused(.date)),
  ]

  static let statuses: [Case] =
    [100, 101, 103, 199, 206, 304, 600, 999].map { cacheControl("max-age=60", .refused(.status)).status($0) }
    + [200, 203, 204, 226, 299, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 418, 500, 503].map {
      cacheControl("max-age=60", .fresh(60)).status($0)
    }
    + [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501].map { Case(outcome: .fresh(30)).status($0).ttl(30) }
    + [201, 202, 302, 303, 307, 400, 401, 403, 418, 500, 502, 503].map {
      Case(outcome: .refused(.noFreshness)).status($0).ttl(30)
    }
    + [302, 500].map { cacheControl("public", .fresh(30)).status($0).ttl(30) }

  static let people: [Case] = [
    cacheControl("max-age=60", .refused(.authorization)).known,
    cacheControl("max-age=60, public", .fresh(60)).known,
    cacheControl("s-maxage=60", .fresh(60)).known,
    cacheControl("max-age=60, must-revalidate", .fresh(60)).known,
    cacheControl("max-age=60, proxy-revalidate", .refused(.authorization)).known,
    cacheControl("public, private, max-age=60", .refused(.isPrivate)).known,
    Case(outcome: .refused(.authorization)).known.ttl(60),
    Case("Set-Cookie: a=b", "Cache-Control: public, max-age=60", outcome: .refused(.setCookie)),
    Case("Set-Cookie: a=b", outcome: .refused(.setCookie)).ttl(60),
    Case("Set-Cookie2: a=b", "Cache-Control: max-age=60", outcome: .refused(.setCookie)),
    Case("Cache-Control: max-age=60", outcome: .refused(.method)).with { $0.method = "POST" },
    Case("Cache-Control: max-age=60", outcome: .refused(.method)).with { $0.method = "HEAD" },
  ]

  static let variations: [Case] = [
    Case("Vary: *", "Cache-Control: max-age=60", outcome: .refused(.varies)),
    Case("Vary: *", "Cache-Control: max-age=60", outcome: .refused(.varies)).allowing("accept-encoding"),
    Case("Vary: Accept-Encoding", "Cache-Control: max-age=60", outcome: .refused(.varies)),
    Case("Vary: Accept-Encoding", "Cache-Control: max-age=60", outcome: .fresh(60)).allowing("accept-encoding"),
    Case("Vary: ACCEPT-encoding , ,", "Cache-Control: max-age=60", outcome: .fresh(60)).allowing("accept-encoding"),
    Case("Vary: Accept-Encoding, Cookie", "Cache-Control: max-age=60", outcome: .refused(.varies))
      .allowing("accept-encoding"),
    Case("Vary: Accept-Encoding", "Vary: User-Agent", "Cache-Control: max-age=60", outcome: .refused(.varies))
      .allowing("accept-encoding"),
    Case("Vary:", "Cache-Control: max-age=60", outcome: .fresh(60)),
    Case("Vary: Origin", outcome: .refused(.varies)).ttl(60),
  ]

  static let ttls: [Case] = [
    Case(outcome: .refused(.noFreshness)), Case(outcome: .fresh(60)).ttl(60),
    cacheControl("max-age=5", .fresh(5)).ttl(60), cacheControl("max-age=0", .refused(.stale)).ttl(60),
    cacheControl("no-store", .refused(.noStore)).ttl(60), cacheControl("private", .refused(.isPrivate)).ttl(60),
    cacheControl("no-cache", .refused(.noCache)).ttl(60), cacheControl("must-revalidate", .fresh(60)).ttl(60),
    cacheControl("unheard-of", .fresh(60)).ttl(60), expires(5, .fresh(5)).ttl(60),
    Case("Expires: 0", outcome: .refused(.stale)).ttl(60), Case("Age: 10", outcome: .fresh(60, age: 10)).ttl(60),
    Case("Age: 60", outcome: .refused(.stale)).ttl(60),
    Case("Last-Modified: \(Case.date(-86_400))", outcome: .refused(.noFreshness)),
    Case("Last-Modified: \(Case.date(-86_400))", outcome: .fresh(60)).ttl(60),
  ]

  static let watched: [Case] = [
    Case(outcome: .own(nil)).watched, Case(outcome: .own(60)).watched.ttl(60),
    cacheControl("max-age=5", .own(nil)).watched, cacheControl("s-maxage=5, must-revalidate", .own(nil)).watched,
    cacheControl("max-age=5", .own(60)).watched.ttl(60), cacheControl("max-age=0", .refused(.stale)).watched,
    cacheControl("max-age=x", .refused(.stale)).watched, cacheControl("no-cache", .refused(.noCache)).watched,
    cacheControl("no-store", .refused(.noStore)).watched, cacheControl("private", .refused(.isPrivate)).watched,
    // What names a moment is kept as a cache keeps it.
    expires(60, .fresh(60)).watched, expires(-1, .refused(.stale)).watched,
    Case("Expires: \(Case.date(90))", "Cache-Control: max-age=90", outcome: .fresh(90)).watched,
    Case("Age: 0", outcome: .refused(.age)).watched, Case("Set-Cookie: a", outcome: .refused(.setCookie)).watched,
    Case(outcome: .refused(.status)).watched.status(404),
    cacheControl("max-age=60", .refused(.status)).watched.status(301),
    Case("Vary: Accept-Encoding", outcome: .own(nil)).watched.allowing("accept-encoding"),
    Case("Vary: Accept-Encoding", outcome: .refused(.varies)).watched,
  ]

  static let table =
    directives + mustUnderstand + expiry + ages + statuses + people + variations + ttls + watched

  @Test(arguments: table) func `the decision of RFC 9111`(_ line: Case) {
    #expect(line.decided == line.outcome)
  }

  @Test func `the table has the cases it is there for`() {
    #expect(Self.table.count >= 120)
    #expect(Set(Self.table.map(\.testDescription)).count >= 120, "different ones")
  }
}
