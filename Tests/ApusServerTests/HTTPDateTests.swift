import Testing

@testable import ApusServer

@Suite("HTTP dates (RFC 9110 section 5.6.7)")
struct HTTPDateTests {
  @Test(
    "an IMF-fixdate is what the RFC and the calendar say",
    arguments: [
      (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
      (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
      (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
      (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
      (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
      (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
      (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
      (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
    ])
  func format(second: Int, text: String) {
    #expect(String(decoding: HTTPDate.bytes(second), as: UTF8.self) == text)
  }

  @Test("parsing gives back every day that was formatted")
  func roundTrip() {
    for day in stride(from: 0, to: 60_000, by: 1) {
      let second = day * 86_400 + day % 86_400
      #expect(HTTPDate.parse(HTTPDate.bytes(second), now: 0) == second)
    }
  }

  @Test(
    "the obsolete formats are understood",
    arguments: [
      ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
      ("Sun Nov  6 08:49:37 1994", 784_111_777),
      ("Sun Nov 16 08:49:37 1994", 784_975_777),
      ("Saturday, 01-Jan-77 00:00:00 GMT", 220_924_800),
      ("Friday, 01-Jan-27 00:00:00 GMT", 1_798_761_600),
    ])
  func obsolete(text: String, second: Int) {
    // In November 2026.
    #expect(HTTPDate.parse(text.utf8, now: 1_795_000_000) == second)
  }

  @Test(
    "what is no date is none",
    arguments: [
      "", "0", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 31 Feb 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
      "Xyz, 06 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "Sun, 00 Nov 1994 08:49:37 GMT",
    ])
  func rejected(text: String) {
    #expect(HTTPDate.parse(text.utf8, now: 0) == nil)
  }

  @Test("the cached text follows the second")
  func cache() {
    var cache = DateCache()
    cache.refresh(second: 784_111_777)
    #expect(cache.text == HTTPDate.bytes(784_111_777))
    cache.refresh(second: 784_111_778)
    #expect(cache.text == HTTPDate.bytes(784_111_778))
  }
}
