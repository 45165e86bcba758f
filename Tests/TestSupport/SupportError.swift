import Foundation

/// Something a test stands on did not work; the message says what, with what the process in question printed.
public struct SupportError: Error, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  public static func systemCall(_ name: String, _ code: Int32) -> SupportError {
    SupportError("\(name): \(String(cString: strerror(code)))")
  }
}

/// Seconds of CLOCK_MONOTONIC.
public func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

public func pause(seconds: Double) { usleep(UInt32(seconds * 1e6)) }

/// How many times longer everything may take than on a machine of today: for emulated processors.
let patience = ProcessInfo.processInfo.environment["APUS_TEST_PATIENCE"].flatMap(Double.init) ?? 1

/// Asks until the answer is yes.
///
/// - Returns: whether it was yes within `timeout_s` seconds, or what ``patience`` makes of them.
public func eventually(
  timeout_s: Double = 5, every interval_s: Double = 0.02, _ condition: () throws -> Bool
) rethrows -> Bool {
  let deadline = monotonicSeconds() + timeout_s * patience
  while true {
    if try condition() { return true }
    if monotonicSeconds() >= deadline { return false }
    pause(seconds: interval_s)
  }
}
