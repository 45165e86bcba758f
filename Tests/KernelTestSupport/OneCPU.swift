import Glibc

/// One CPU for a program that keeps something for each: what it noted of one packet it must find at the next.
public enum OneCPU {
  public struct Failure: Error, CustomStringConvertible {
    public let call: String
    public let code: Int32
    public var description: String { "\(call): \(String(cString: strerror(code)))" }
  }

  private typealias Call = @convention(c) (CInt, Int, UnsafeMutableRawPointer) -> CInt
  // Declared by <sched.h> only with _GNU_SOURCE, which Swift's Glibc module is built without.
  private static let getAffinity = unsafeBitCast(dlsym(nil, "sched_getaffinity"), to: Call.self)
  private static let setAffinity = unsafeBitCast(dlsym(nil, "sched_setaffinity"), to: Call.self)

  /// CPUs this process may use: a bit for each, with room for the 8192 Linux can be built for (CONFIG_NR_CPUS).
  private static let allowed = Result { () throws(Failure) in
    var set = [UInt64](repeating: 0, count: 128)
    guard getAffinity(0, set.count * MemoryLayout<UInt64>.size, &set) == 0 else {
      throw Failure(call: "sched_getaffinity", code: errno)
    }
    return (set: set, numbers: (0..<set.count * 64).filter { set[$0 / 64] >> UInt64($0 % 64) & 1 == 1 })
  }

  /// Runs `body`, which may not wait for a task, on one CPU of those this process may use, counted from 0 and around.
  ///
  /// - Throws: `Failure` where the kernel refuses, and what `body` throws.
  public static func run<Value>(number: Int = 0, _ body: () throws -> Value) throws -> Value {
    var allowed = try allowed.get()
    let size = allowed.set.count * MemoryLayout<UInt64>.size
    let chosen = allowed.numbers[number % allowed.numbers.count]
    var one = [UInt64](repeating: 0, count: allowed.set.count)
    one[chosen / 64] = 1 << UInt64(chosen % 64)
    guard setAffinity(0, size, &one) == 0 else { throw Failure(call: "sched_setaffinity", code: errno) }
    defer { _ = setAffinity(0, size, &allowed.set) }
    return try body()
  }
}
