import Testing

@testable import ApusServer

@Suite struct ClientListsTests {
  @Test(arguments: [
    ("192.0.2.0/24", "192.0.2.0/24"), ("192.0.2.7", "192.0.2.7/32"), ("192.0.2.7/24", "192.0.2.0/24"),
    ("0.0.0.0/0", "0.0.0.0/0"), ("10.0.0.0/8", "10.0.0.0/8"),
  ])
  func prefixesAreRead(text: String, canonical: String) {
    #expect(AddressPrefix(text)?.description == canonical)
  }

  @Test(arguments: [
    "", "/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2/24", "192.0.2.0/", "*", "::1", "a.b.c.d/8", "1.2.3.4/8/9",
  ])
  func whatIsNoPrefixIsRefused(text: String) {
    #expect(AddressPrefix(text) == nil)
  }

  private func address(_ text: String) -> UInt32 { ListenAddress(text + ":1")!.address }

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
}
