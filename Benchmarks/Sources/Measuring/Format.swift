import Foundation

/// A number without exponent: "77162", "12.7".
public func plain(_ value: Double, decimals: Int = 0) -> String { String(format: "%.\(decimals)f", value) }

/// A size as people say it: "64 B", "14000 B", "10 KB", "1 MB"; a KB is 1024 bytes.
public func byteCount(_ size: Int) -> String {
  if size >= 1 << 20, size % (1 << 20) == 0 { return "\(size >> 20) MB" }
  return size >= 1024 && size % 1024 == 0 ? "\(size >> 10) KB" : "\(size) B"
}
