/// The helper functions on the host: they act on the simulated kernel. What each one does is said in the file of
/// this name for the kernel.
enum Helper {
  typealias Pointer = UnsafeRawPointer
  typealias MutablePointer = UnsafeMutableRawPointer

  private static var kernel: SimulatedKernel { SimulatedKernel.current }

  static func mapLookup(_ map: Pointer, _ key: Pointer) -> MutablePointer? { kernel.value(map, key: key) }
  static func mapUpdate(_ map: Pointer, _ key: Pointer, _ value: Pointer, _ flags: UInt64) -> Int64 {
    kernel.update(map, key: key, value: value)
  }
  static func mapDelete(_ map: Pointer, _ key: Pointer) -> Int64 { kernel.remove(map, key: key) }
  static func time_ns() -> UInt64 { kernel.time_ns }
  static func coarseTime_ns() -> UInt64 { kernel.time_ns }

  static func storeBytes(_ context: MutablePointer, _ offset: UInt32, _ from: Pointer, _ length: UInt32) -> Int64 {
    let end = Int(offset) + Int(length)
    guard end <= kernel.packet.count else { return -14 }
    kernel.packet.replaceSubrange(
      Int(offset)..<end, with: UnsafeRawBufferPointer(start: from, count: Int(length)))
    kernel.onStore?()
    return 0
  }
  /// A partial checksum is that of the pseudo-header alone, and stays as it is (inet_proto_csum_replace4).
  static func replaceInChecksum(_ context: MutablePointer, _ offset: UInt32, _ old: UInt32, _ new: UInt32) -> Int64 {
    let place = Int(offset)
    guard place + 2 <= kernel.packet.count else { return -14 }
    if kernel.checksumState == 3 { return 0 }
    // RFC 1624 section 3, equation 3, of words in network byte order.
    func halves(_ word: UInt32) -> UInt32 { word.bigEndian >> 16 + word.bigEndian & 0xffff }
    let checksum = UInt32(kernel.packet[place]) << 8 | UInt32(kernel.packet[place + 1])
    var sum = ~checksum & 0xffff + halves(~old) + halves(new)
    while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
    kernel.packet[place] = UInt8(~sum >> 8 & 0xff)
    kernel.packet[place + 1] = UInt8(~sum & 0xff)
    return 0
  }
  static func loadBytes(_ context: Pointer, _ offset: UInt32, _ to: MutablePointer, _ length: UInt32) -> Int64 {
    let end = Int(offset) + Int(length)
    guard end <= kernel.packet.count else { return -14 }
    kernel.packet[Int(offset)..<end].withUnsafeBytes { to.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    return 0
  }
  static func changeTail(_ context: MutablePointer, _ length: UInt32) -> Int64 {
    let missing = Int(length) - kernel.packet.count
    if missing > 0 {
      kernel.packet.append(contentsOf: repeatElement(0, count: missing))
    } else {
      kernel.packet.removeLast(-missing)
    }
    context.storeBytes(of: length, toByteOffset: 0, as: UInt32.self)
    // skb_gso_reset
    context.storeBytes(of: 0, toByteOffset: 176, as: UInt32.self)
    return 0
  }
  static func pullData(_ context: MutablePointer, _ length: UInt32) -> Int64 { 0 }
  static func deviceMTU(_ context: MutablePointer, _ mtu: MutablePointer) -> Int64 {
    mtu.storeBytes(of: kernel.deviceMTU, as: UInt32.self)
    return 0
  }
  static func redirect(_ interfaceIndex: UInt32) -> Int64 {
    kernel.redirection = (interfaceIndex, false)
    return 7
  }
  static func redirectToNeighbour(_ interfaceIndex: UInt32) -> Int64 {
    kernel.redirection = (interfaceIndex, true)
    return 7
  }
  static func redirectCopy(_ context: MutablePointer, _ interfaceIndex: UInt32) -> Int64 {
    kernel.sent.append(kernel.packet)
    return 0
  }

  static func checksum(_ bytes: Pointer, _ length: UInt32, _ seed: UInt32) -> Int64 {
    var sum = UInt64(seed)
    for offset in stride(from: 0, to: Int(length), by: 4) {
      sum += UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    while sum >> 32 != 0 { sum = (sum & 0xffff_ffff) + (sum >> 32) }
    return Int64(sum)
  }

  static func lookupSocket(_ context: MutablePointer, _ tuple: Pointer, _ size: UInt32) -> MutablePointer? {
    kernel.socket(Array(UnsafeRawBufferPointer(start: tuple, count: Int(size))))
  }
  static func releaseSocket(_ socket: MutablePointer) { kernel.release(socket) }
  static func tcpSocket(_ socket: MutablePointer) -> MutablePointer? { socket }
  static func isMultipath(_ socket: MutablePointer) -> Bool {
    socket.load(fromByteOffset: SimulatedKernel.isMultipathOffset, as: UInt8.self) != 0
  }
  static func ringOutput(_ ring: Pointer, _ data: Pointer, _ length: UInt64) -> Int64 {
    kernel.send(Array(UnsafeRawBufferPointer(start: data, count: Int(length))), to: ring)
  }
  static func assignRequestSocket(
    _ context: MutablePointer, _ listener: MutablePointer, _ attributes: Pointer, _ size: Int32
  ) -> Int32 {
    kernel.assign(attributes.load(as: RequestSocketAttributes.self))
  }
  static func assignListener(_ lookup: MutablePointer, _ listener: MutablePointer) -> Int64 {
    kernel.isListenerAssigned = true
    return 0
  }
  static func linkHeaderLength(_ context: MutablePointer) -> UInt16 { kernel.linkHeaderLength }
  static func checksumBits(_ context: MutablePointer) -> UInt8 { kernel.checksumState }
}
