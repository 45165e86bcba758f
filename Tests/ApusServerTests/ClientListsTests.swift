import Testing
import Wire

@testable import ApusServer

@Suite struct ClientListsTests {
  @Test(arguments: [
    ("192.0.2.0/24", "192.0.2.0/24"), ("192.0.2.7", "192.0.2.7/32"), ("192.0.2.7/24", "192.0.2.0/24"),
    ("0.0.0.0/0", "0.0.0.0/0"), ("10.0.0.0/8", "10.0.0.0/8"),
    ("2001:db8::/32", "2001:db8::/32"), ("2001:DB8:0:0::7", "2001:db8::7/128"), ("2001:db8:ff::/33", "2001:db8::/33"),
    ("::/0", "::/0"), ("::ffff:192.0.2.7/120", "192.0.2.0/24"), ("::1", "::1/128"),
  ])
  func prefixesAreRead(text: String, canonical: String) {
    #expect(AddressPrefix(text)?.description == canonical)
  }

  @Test(arguments: [
    "", "/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2/24", "192.0.2.0/", "*", "::1/129", "[::1]", "fe80::1%eth0",
    "::ffff:0:0/95", "a.b.c.d/8", "1.2.3.4/8/9",
  ])
  func whatIsNoPrefixIsRefused(text: String) {
    #expect(AddressPrefix(text) == nil)
  }

  private func address(_ text: String) -> IPAddress {
    ListenAddress((text.contains(":") ? "[\(text)]" : text) + ":1")!.address
  }

  @Test func withoutListsEverybodyIsServed() {
    #expect(ClientLists().isServed(address("203.0.113.9")))
  }

  @Test func anAllowListServesNobodyElse() {
    let lists = ClientLists(allowed: [AddressPrefix("192.0.2.0/24")!, AddressPrefix("198.51.100.7")!])
    #expect(lists.isServed(address("192.0.2.255")))
    #expect(lists.isServed(address("198.51.100.7")))
    #expect(!lists.isServed(address("198.51.100.8")))
    #expect(!lists.isServed(address("192.0.3.0")))
  }

  @Test func denyingGoesBeforeAllowing() {
    let lists = ClientLists(allowed: [AddressPrefix("192.0.2.0/24")!], denied: [AddressPrefix("192.0.2.128/25")!])
    #expect(lists.isServed(address("192.0.2.127")))
    #expect(!lists.isServed(address("192.0.2.128")))
    #expect(!ClientLists(denied: [AddressPrefix("0.0.0.0/0")!]).isServed(address("127.0.0.1")))
  }

  @Test func aPrefixOfOneFamilyIsNoneOfTheOther() {
    #expect(ClientLists(denied: [AddressPrefix("0.0.0.0/0")!]).isServed(address("2001:db8::1")))
    #expect(ClientLists(denied: [AddressPrefix("::/0")!]).isServed(address("192.0.2.1")))
    #expect(!ClientLists(denied: [AddressPrefix("::/0")!]).isServed(address("2001:db8::1")))
    let lists = ClientLists(allowed: [AddressPrefix("2001:db8:0:8000::/49")!])
    #expect(lists.isServed(address("2001:db8:0:ffff::1")) && !lists.isServed(address("2001:db8:0:7fff::1")))
  }
}
