import Foundation
import TestSupport

/// One line on standard error that says how far the work is; lines below each other where that is no terminal.
final class Progress {
  private let total: Int
  private var done = 0
  private let start_s = monotonicSeconds()
  private let isTerminal = isatty(STDERR_FILENO) == 1

  /// - Parameter total: runs there will be.
  init(total: Int) { self.total = total }

  func advance(_ text: String) {
    done += 1
    show("[\(min(done, total))/\(total)] \(text)\(remaining)")
  }

  /// Runs that will not be.
  func skip(_ count: Int) { done += count }

  /// A line that stays.
  func note(_ text: String) { write((isTerminal ? "\r\u{1b}[K" : "") + "apus-bench: \(text)\n") }

  func finish() { if isTerminal { write("\r\u{1b}[K") } }

  private var remaining: String {
    let elapsed_s = monotonicSeconds() - start_s
    guard done > 0, done < total else { return "" }
    let left_s = Int(elapsed_s / Double(done) * Double(total - done))
    return left_s >= 90 ? ", \(left_s / 60) min left" : ", \(left_s) s left"
  }

  private func show(_ line: String) { write(isTerminal ? "\r\u{1b}[K\(line)" : line + "\n") }

  private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
