import BPF
import KernelSocketsHost
import KeyValueServer

/// The values the kernel part answers with.
final class Values {
  private let map: HashMap<InlineArray<4, UInt64>, InlineArray<65, UInt64>>
  private var generation: UInt32 = 0

  init(_ host: KernelSocketHost) throws(BPFError) {
    map = try host.loaded.hashMap(
      "valuesMap", from: InlineArray<4, UInt64>.self, to: InlineArray<65, UInt64>.self)
  }

  /// Answers for a key from now on. False: the key or the value is too long, or the key is empty.
  func set(_ key: String, _ value: String) throws(BPFError) -> Bool {
    let reply = Array("$\(value.utf8.count)\r\n\(value)\r\n".utf8)
    guard 1...Value.keyBytesMax ~= key.utf8.count, reply.count <= Value.replyBytesMax else { return false }
    var keyBytes = InlineArray<4, UInt64>(repeating: 0)
    withUnsafeMutableBytes(of: &keyBytes) { $0.copyBytes(from: Array(key.utf8)) }
    generation += 1
    var valueBytes = InlineArray<65, UInt64>(repeating: 0)
    withUnsafeMutableBytes(of: &valueBytes) { bytes in
      bytes.storeBytes(of: generation, as: UInt32.self)
      bytes.storeBytes(of: UInt32(reply.count), toByteOffset: Value.lengthOffset, as: UInt32.self)
      bytes[Value.replyOffset...].copyBytes(from: reply)
    }
    return try map.update(keyBytes, valueBytes)
  }
}
