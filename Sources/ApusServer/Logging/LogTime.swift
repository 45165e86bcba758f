import Glibc

/// Times as the log's formats have them. What changes once a second is made once a second.
struct LogTime {
  private var second = Int.min
  private var text: [UInt8] = []
  private let format: AccessLogFormat

  init(_ format: AccessLogFormat) { self.format = format }

  mutating func append(_ time_ns: Int64, to log: inout LogText) {
    let second = Int(time_ns / 1_000_000_000)
    if second != self.second {
      self.second = second
      text = format == .combined ? Self.combined(second) : Self.json(second)
    }
    log.append(text)
    if format == .json {
      log.append(UInt8(ascii: "."))
      log.append(Int(time_ns / 1_000_000 % 1000), digits: 3)
      log.append(UInt8(ascii: "Z"))
    }
  }

  /// `10/Oct/2000:13:55:36 -0700`, local time: as Apache and nginx have it.
  static func combined(_ second: Int) -> [UInt8] {
    var time = second
    var parts = tm()
    localtime_r(&time, &parts)
    let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
    var text = LogText()
    text.append(Int(parts.tm_mday), digits: 2)
    text.append(UInt8(ascii: "/"))
    for index in 0..<3 { text.append(months.utf8Start[Int(parts.tm_mon) * 3 + index]) }
    text.append(UInt8(ascii: "/"))
    text.append(Int(parts.tm_year) + 1900, digits: 4)
    append(parts, after: UInt8(ascii: ":"), to: &text)
    let offset_min = parts.tm_gmtoff / 60
    text.append(offset_min < 0 ? " -" : " +")
    text.append(abs(offset_min) / 60, digits: 2)
    text.append(abs(offset_min) % 60, digits: 2)
    return text.withBytes { Array($0) }
  }

  /// `2000-10-10T20:55:36`, UTC (RFC 3339).
  static func json(_ second: Int) -> [UInt8] {
    var time = second
    var parts = tm()
    gmtime_r(&time, &parts)
    var text = LogText()
    text.append(Int(parts.tm_year) + 1900, digits: 4)
    text.append(UInt8(ascii: "-"))
    text.append(Int(parts.tm_mon) + 1, digits: 2)
    text.append(UInt8(ascii: "-"))
    text.append(Int(parts.tm_mday), digits: 2)
    append(parts, after: UInt8(ascii: "T"), to: &text)
    return text.withBytes { Array($0) }
  }

  private static func append(_ parts: tm, after separator: UInt8, to text: inout LogText) {
    var separator = separator
    for part in [parts.tm_hour, parts.tm_min, parts.tm_sec] {
      text.append(separator)
      text.append(Int(part), digits: 2)
      separator = UInt8(ascii: ":")
    }
  }
}
