import Contract

/// Makes lines of the access log.
struct LineFormatter {
  let format: AccessLogFormat
  private var time: LogTime

  init(_ format: AccessLogFormat) {
    self.format = format
    time = LogTime(format)
  }

  /// Appends the line of an entry, if the format has one for it.
  ///
  /// - Parameter request: the bytes of the request, at least those of its head.
  /// - Returns: whether there is a line.
  mutating func append(_ entry: AccessEntry, _ request: UnsafeRawBufferPointer, to log: inout LogText) -> Bool {
    switch format {
    case .combined:
      // Who takes a request over logs its answer.
      if case .handover = entry.outcome { return false }
      appendCombined(entry, RequestText(request), to: &log)
    case .json: appendJSON(entry, RequestText(request), to: &log)
    }
    return true
  }

  /// `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`, the configuration Apache's documentation gives the name.
  private mutating func appendCombined(_ entry: AccessEntry, _ text: RequestText, to log: inout LogText) {
    log.append(entry.client)
    log.append(" - - [")
    time.append(entry.time_ns, to: &log)
    log.append("] \"")
    if text.line.isEmpty {
      log.append("-")
    } else {
      appendLine(text, isHTTP2: entry.isHTTP2, to: &log)
    }
    log.append("\" ")
    log.append(entry.status)
    log.append(" ")
    log.append(entry.bodyBytes)
    appendValue(text.referer, of: text, to: &log)
    appendValue(text.userAgent, of: text, to: &log)
    log.append("\n")
  }

  /// Nothing and no field look alike, as everywhere.
  private func appendValue(_ value: Range<Int>?, of text: RequestText, to log: inout LogText) {
    guard let value, !value.isEmpty else { return log.append(" \"-\"") }
    log.append(" \"")
    log.appendEscaped(text[value])
    log.append("\"")
  }

  /// Part by part, so that a long target is cut, not what follows it.
  private func appendLine(_ text: RequestText, isHTTP2: Bool, to log: inout LogText) {
    guard !text.version.isEmpty else { return log.appendEscaped(text[text.line]) }
    log.appendEscaped(text[text.method])
    log.append(" ")
    log.appendEscaped(text[text.target])
    log.append(" ")
    if isHTTP2 { log.append("HTTP/2.0") } else { log.appendEscaped(text[text.version]) }
  }

  private mutating func appendJSON(_ entry: AccessEntry, _ text: RequestText, to log: inout LogText) {
    log.append("{\"time\":\"")
    time.append(entry.time_ns, to: &log)
    switch entry.outcome {
    case .kernel: log.append("\",\"kind\":\"request\",\"half\":\"kernel\"")
    case .user: log.append("\",\"kind\":\"request\",\"half\":\"user\"")
    case .handover(let reason):
      log.append("\",\"kind\":\"handover\",\"reason\":\"")
      log.append(Array("\(reason.map { "\($0)" } ?? "unknown")".utf8))
      log.append("\"")
    }
    log.append(",\"client\":\"")
    log.append(entry.client)
    log.append("\",\"port\":")
    log.append(Int(entry.clientPort))
    if entry.isTLS { log.append(",\"tls\":true") }
    if text.version.isEmpty {
      append(",\"request\":\"", text.line.isEmpty ? nil : text.line, of: text, to: &log)
    } else {
      append(",\"method\":\"", text.method, of: text, to: &log)
      append(",\"target\":\"", text.target, of: text, to: &log)
      if entry.isHTTP2 {
        log.append(",\"protocol\":\"HTTP/2.0\"")
      } else {
        append(",\"protocol\":\"", text.version, of: text, to: &log)
      }
    }
    append(",\"host\":\"", text.host, of: text, to: &log)
    if case .handover = entry.outcome {
    } else {
      log.append(",\"status\":")
      log.append(entry.status)
      log.append(",\"bytes\":")
      log.append(entry.bodyBytes)
    }
    if let duration_ns = entry.duration_ns {
      log.append(",\"duration_us\":")
      log.append(Int(duration_ns / 1000))
    }
    append(",\"referer\":\"", text.referer, of: text, to: &log)
    append(",\"userAgent\":\"", text.userAgent, of: text, to: &log)
    log.append("}\n")
  }

  /// A string, if there is one.
  private func append(_ key: StaticString, _ value: Range<Int>?, of text: RequestText, to log: inout LogText) {
    guard let value else { return }
    log.append(key)
    log.appendJSON(text[value])
    log.append("\"")
  }

  /// A line that says that others are missing; the Combined Log Format has none, its readers know only requests.
  mutating func appendLost(_ count: Int, time_ns: Int64, to log: inout LogText) -> Bool {
    guard format == .json else { return false }
    log.append("{\"time\":\"")
    time.append(time_ns, to: &log)
    log.append("\",\"kind\":\"lost\",\"lines\":")
    log.append(count)
    log.append("}\n")
    return true
  }
}
