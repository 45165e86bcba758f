import Glibc

/// A file descriptor that is closed when its last owner goes.
final class Descriptor: Sendable {
  let rawValue: Int32

  init(_ rawValue: Int32) {
    self.rawValue = rawValue
  }

  deinit {
    close(rawValue)
  }
}

/// The whole of a file of /proc or /sys, or nil. Such files state no size, so they are read until they end.
func contents(ofFile path: String) -> [UInt8]? {
  let file = open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return nil }
  let descriptor = Descriptor(file)
  var status = stat()
  // Where a size is known (BTF) one read suffices.
  var step = 4096
  if fstat(descriptor.rawValue, &status) == 0 { step = max(step, Int(status.st_size) + 1) }
  var bytes: [UInt8] = []
  while true {
    let start = bytes.count
    var failed = false
    bytes.append(
      contentsOf: [UInt8](unsafeUninitializedCapacity: step) { buffer, count in
        let result = read(descriptor.rawValue, buffer.baseAddress, buffer.count)
        failed = result < 0
        count = max(0, result)
      })
    if failed { return nil }
    if bytes.count == start { return bytes }
    step = 4096
  }
}
