import ApusServer
import ArgumentParser

/// `ADDRESS:PORT` on the command line, with a message that names what is wrong.
enum AddressArgument {
  static func parse(_ text: String) throws -> ListenAddress {
    if let address = ListenAddress(text) { return address }
    throw ValidationError(problem(with: text))
  }

  /// A backend must have an address to connect to.
  static func parseBackend(_ text: String) throws -> ListenAddress {
    let address = try parse(text)
    guard !address.isWildcard else {
      let example = address.address.isIPv4 ? "127.0.0.1" : "[::1]"
      throw ValidationError("'\(text)' is not the address of one server; write \(example):\(address.port)")
    }
    return address
  }

  private static func problem(with text: String) -> String {
    let example = "write ADDRESS:PORT, as in 127.0.0.1:8080 or [::1]:8080"
    guard let colon = text.lastIndex(of: ":") else { return "'\(text)' has no port; \(example)" }
    let (host, port) = (text[..<colon], text[text.index(after: colon)...])
    guard let number = Int(port), (1...65_535).contains(number) else {
      return "'\(port)' in '\(text)' is not a port from 1 to 65535; \(example)"
    }
    if host.contains(":") && !host.hasPrefix("[") {
      return "an IPv6 address as in '\(text)' needs brackets; \(example)"
    }
    if host.lowercased().hasPrefix("[fe8") {
      return
        "'\(host)' in '\(text)' is a link-local address, which means nothing without an interface; write [::]:\(port)"
    }
    let kind = host.hasPrefix("[") ? "IPv6" : "IPv4"
    return "'\(host)' in '\(text)' is not an \(kind) address; \(example)"
  }
}

/// `192.0.2.0/24` on the command line.
enum PrefixArgument {
  static func parse(_ text: String) throws -> AddressPrefix {
    if let prefix = AddressPrefix(text) { return prefix }
    throw ValidationError("'\(text)' is not a prefix of addresses; write 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32")
  }
}

/// `/private/` or `.css` on the command line.
enum PathPatternArgument {
  static func parse(_ text: String) throws -> PathSelection.Pattern {
    if let pattern = PathSelection.Pattern(text) { return pattern }
    throw ValidationError("'\(text)' is neither a prefix of paths, as /private/, nor an extension, as .css")
  }
}

/// A number of bytes as a user writes it: `67108864`, `64M`, `64MiB`. The units are binary.
struct ByteSize: Equatable, Sendable {
  /// Of the object store. The smallest one still holds a few dozen of the largest objects.
  static let bytesMin = 1 << 20
  /// The store is the one value of an array map, and the verifier follows offsets into a value only up to 512 MB
  /// (BPF_MAX_VAR_OFF in include/linux/bpf_verifier.h).
  static let bytesMax = 256 << 20

  var bytes: Int

  /// Throws `ValidationError` unless it is a power of two from `bytesMin` to `bytesMax`.
  static func parse(_ text: String) throws -> ByteSize {
    guard let bytes = bytes(in: text) else {
      throw ValidationError("'\(text)' is not a size; write a number of bytes, or one with K, M or G, as in 64M")
    }
    let range = "from \(ByteSize(bytes: bytesMin)) to \(ByteSize(bytes: bytesMax))"
    guard bytes >= bytesMin, bytes <= bytesMax else { throw ValidationError("\(text) is not \(range)") }
    guard bytes.nonzeroBitCount == 1 else {
      let below = ByteSize(bytes: 1 << (Int.bitWidth - 1 - bytes.leadingZeroBitCount))
      let above = ByteSize(bytes: below.bytes * 2)
      throw ValidationError("\(text) is not a power of two; the nearest are \(below) and \(above)")
    }
    return ByteSize(bytes: bytes)
  }

  /// The same for any number of bytes from `bytesMin`.
  static func parse(_ text: String, upTo bytesMax: Int) throws -> Int {
    guard let bytes = bytes(in: text), (bytesMin...bytesMax).contains(bytes) else {
      let range = "from \(ByteSize(bytes: bytesMin)) to \(ByteSize(bytes: bytesMax))"
      throw ValidationError("'\(text)' is not a size \(range)")
    }
    return bytes
  }

  /// nil: not a size, or more than an `Int` holds.
  private static func bytes(in text: String) -> Int? {
    let digits = text.prefix { ("0"..."9").contains($0) }
    guard let number = Int(digits) else { return nil }
    let factor: Int
    switch text.dropFirst(digits.count).lowercased() {
    case "", "b": factor = 1
    case "k", "kb", "kib": factor = 1 << 10
    case "m", "mb", "mib": factor = 1 << 20
    case "g", "gb", "gib": factor = 1 << 30
    default: return nil
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : bytes
  }
}

extension ByteSize: CustomStringConvertible {
  /// In the largest unit that divides it: `64M`, `1G`, `1000`.
  var description: String {
    for (unit, shift) in [("G", 30), ("M", 20), ("K", 10)] where bytes > 0 && bytes & ((1 << shift) - 1) == 0 {
      return "\(bytes >> shift)\(unit)"
    }
    return String(bytes)
  }
}
