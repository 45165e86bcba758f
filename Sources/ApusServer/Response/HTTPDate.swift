import Glibc

/// A date of RFC 9110 section 5.6.7, to the second. Formatting and parsing without locale or time zone.
enum HTTPDate {
  /// Length of an IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`.
  static let length = 29

  private static let days: StaticString = "ThuFriSatSunMonTueWed"
  private static let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"

  /// Writes the IMF-fixdate of a second since 1970 into 29 bytes. The year is kept within 1970...9999, the
  /// range the format has room for.
  static func write(_ second: Int, into bytes: UnsafeMutableRawBufferPointer) {
    precondition(bytes.count >= length)
    let second = min(max(second, 0), 253_402_300_799)
    let day = second / 86_400
    let (year, month, dayOfMonth) = civil(fromDays: day)
    let time = second % 86_400
    copy(days, at: day % 7 * 3, to: bytes, at: 0)
    bytes[3] = UInt8(ascii: ",")
    bytes[4] = UInt8(ascii: " ")
    twoDigits(dayOfMonth, to: bytes, at: 5)
    bytes[7] = UInt8(ascii: " ")
    copy(months, at: (month - 1) * 3, to: bytes, at: 8)
    bytes[11] = UInt8(ascii: " ")
    twoDigits(year / 100, to: bytes, at: 12)
    twoDigits(year % 100, to: bytes, at: 14)
    bytes[16] = UInt8(ascii: " ")
    twoDigits(time / 3600, to: bytes, at: 17)
    bytes[19] = UInt8(ascii: ":")
    twoDigits(time / 60 % 60, to: bytes, at: 20)
    bytes[22] = UInt8(ascii: ":")
    twoDigits(time % 60, to: bytes, at: 23)
    bytes[25] = UInt8(ascii: " ")
    bytes[26] = UInt8(ascii: "G")
    bytes[27] = UInt8(ascii: "M")
    bytes[28] = UInt8(ascii: "T")
  }

  /// The IMF-fixdate of a second since 1970.
  static func bytes(_ second: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      write(second, into: UnsafeMutableRawBufferPointer(buffer))
      count = length
    }
  }

  /// The second since 1970 that a date names, in any of the three formats a recipient must accept
  /// (RFC 9110 section 5.6.7); `nil` where it is none of them.
  ///
  /// - Parameter now: the current second, which tells the century of a two-digit year.
  static func parse(_ text: some Collection<UInt8>, now: Int) -> Int? {
    var scanner = DateScanner(bytes: Array(text))
    guard let comma = scanner.bytes.firstIndex(of: UInt8(ascii: ",")) else { return parseAsctime(&scanner) }
    let isShort = comma == 3
    guard scanner.skipDayName(long: !isShort), scanner.skip(", ") else { return nil }
    let separator = isShort ? " " : "-"
    guard let day = scanner.number(2), scanner.skip(separator), let month = scanner.month(),
      scanner.skip(separator), var year = scanner.number(isShort ? 4 : 2), scanner.skip(" "),
      let time = scanner.time(), scanner.skip(" GMT"), scanner.isAtEnd
    else { return nil }
    if !isShort {
      // A two-digit year more than 50 years ahead is the most recent past one with these digits.
      let thisYear = civil(fromDays: max(now, 0) / 86_400).year
      year += thisYear / 100 * 100
      if year > thisYear + 50 { year -= 100 }
    }
    return second(year: year, month: month, day: day, time: time)
  }

  /// `Sun Nov  6 08:49:37 1994`.
  private static func parseAsctime(_ scanner: inout DateScanner) -> Int? {
    guard scanner.skipDayName(long: false), scanner.skip(" "), let month = scanner.month(), scanner.skip(" "),
      let day = scanner.skip(" ") ? scanner.number(1) : scanner.number(2), scanner.skip(" "),
      let time = scanner.time(), scanner.skip(" "), let year = scanner.number(4), scanner.isAtEnd
    else { return nil }
    return second(year: year, month: month, day: day, time: time)
  }

  private static func second(year: Int, month: Int, day: Int, time: Int) -> Int? {
    let days = days(year: year, month: month, day: day)
    // 31 February and its like do not survive the way there and back.
    guard civil(fromDays: days) == (year, month, day) else { return nil }
    return days * 86_400 + time
  }

  /// Days since 1970 of a date of the proleptic Gregorian calendar. Years are counted from March, so that the
  /// leap day is the last of its year, in eras of 400 years.
  private static func days(year: Int, month: Int, day: Int) -> Int {
    let year = month <= 2 ? year - 1 : year
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  /// The inverse of `days(year:month:day:)`.
  private static func civil(fromDays days: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
  }

  private static func twoDigits(_ value: Int, to bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
    bytes[offset] = UInt8(ascii: "0") + UInt8(value / 10)
    bytes[offset + 1] = UInt8(ascii: "0") + UInt8(value % 10)
  }

  private static func copy(
    _ text: StaticString, at source: Int, to bytes: UnsafeMutableRawBufferPointer, at offset: Int
  ) {
    for index in 0..<3 { bytes[offset + index] = text.utf8Start[source + index] }
  }

  /// Reads the parts of a date.
  private struct DateScanner {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func skip(_ text: String) -> Bool {
      guard bytes[position...].starts(with: text.utf8) else { return false }
      position += text.utf8.count
      return true
    }

    mutating func skipDayName(long: Bool) -> Bool {
      let names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
      for name in names where skip(long ? name : String(name.prefix(3))) { return true }
      return false
    }

    mutating func number(_ digits: Int) -> Int? {
      guard bytes.count - position >= digits else { return nil }
      var value = 0
      for byte in bytes[position..<position + digits] {
        guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        value = value * 10 + Int(byte - UInt8(ascii: "0"))
      }
      position += digits
      return value
    }

    mutating func month() -> Int? {
      let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
      for (index, name) in names.enumerated() where skip(name) { return index + 1 }
      return nil
    }

    /// `08:49:37`; a leap second counts as the second before it.
    mutating func time() -> Int? {
      guard let hour = number(2), skip(":"), let minute = number(2), skip(":"), let second = number(2),
        hour < 24, minute < 60, second <= 60
      else { return nil }
      return hour * 3600 + minute * 60 + min(second, 59)
    }
  }
}

/// The text of the current second's Date, made once a second. A value of its owner, not shared.
struct DateCache {
  private(set) var second = -1
  private(set) var text: [UInt8] = HTTPDate.bytes(0)

  /// Brings the text up to the system clock's second.
  mutating func refresh() {
    var now = timespec()
    // The coarse clock is at most a tick behind and costs no more than reading memory.
    clock_gettime(CLOCK_REALTIME_COARSE, &now)
    refresh(second: now.tv_sec)
  }

  mutating func refresh(second: Int) {
    guard second != self.second else { return }
    self.second = second
    text.withUnsafeMutableBytes { HTTPDate.write(second, into: $0) }
  }
}
