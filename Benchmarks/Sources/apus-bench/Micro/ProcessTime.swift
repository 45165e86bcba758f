import Foundation
import TestSupport

/// CPU time a process has had.
struct ProcessTime {
  let cpu_s: Double

  init(of pid: pid_t) throws {
    let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    // proc_pid_stat(5): the name in parentheses may hold anything; utime and stime are the 14th and 15th field.
    guard let end = text.lastIndex(of: ")") else { throw SupportError("/proc/\(pid)/stat: \(text)") }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
      throw SupportError("/proc/\(pid)/stat: \(text)")
    }
    cpu_s = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }
}
