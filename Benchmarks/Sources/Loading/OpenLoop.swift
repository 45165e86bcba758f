import CEpoll
import Glibc
import Histogram
import Measuring

/// Sends requests when they are due, whatever the server does, over kept connections with one request on the way each,
/// from one thread.
///
/// How long a request took is counted from when it was due: one that finds no idle connection waits, and its waiting is the
/// server's doing (coordinated omission is what a client has that counts from the sending). What waits is no queue, only
/// the distance of the next due time from the present: however much is asked for, this costs the client nothing.
public struct OpenLoop: ~Copyable {
  private let address: sockaddr_in
  private let request: [UInt8]
  private let interval_ns: Double
  private let epoll: Int32
  private var connections: [LoadConnection] = []
  /// Indices of `connections`; the one that has been idle for longest is next.
  private var idle: Queue
  private var latencies = Histogram<UInt32>(
    lowestDiscernibleValue: 1, highestTrackableValue: latencyMax_ns, numberOfSignificantValueDigits: .three)
  private var answered = 0
  private var errors = 0

  private static let latencyMax_ns: UInt64 = 100_000_000_000
  /// A timer wakes late, by tens of microseconds; for a request that is due sooner the client looks again and again.
  private static let spinning_ns: UInt64 = 1_500_000
  private static let bufferBytes = 256 << 10
  private static let eventsMax = 512

  /// Opens the connections.
  ///
  /// - Parameters:
  ///   - request: sent again and again.
  ///   - rate: requests a second.
  public init(to address: sockaddr_in, request: [UInt8], rate: Double, connections count: Int) throws {
    self.address = address
    self.request = request
    interval_ns = 1e9 / rate
    idle = Queue(capacity: count)
    epoll = epoll_create1(0)
    if epoll < 0 { throw LoadError.system(call: "epoll_create1", errno: errno) }
    for index in 0..<count {
      let connection = try LoadConnection(to: address)
      try watch(connection, index)
      connections.append(connection)
      idle.append(index)
    }
  }

  deinit { close(epoll) }

  /// Sends and receives for that long.
  public mutating func run(duration_s: Double) -> LoadFigures {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bufferBytes, alignment: 64)
    let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.eventsMax)
    defer {
      buffer.deallocate()
      events.deallocate()
    }
    let start_ns = monotonic_ns()
    let end_ns = start_ns + UInt64(duration_s * 1e9)
    var now_ns = start_ns
    var sent = 0
    var due_ns = start_ns
    while now_ns < end_ns {
      while due_ns <= now_ns, let index = idle.popFirst() {
        send(on: index, due_ns: due_ns)
        sent += 1
        due_ns = start_ns + UInt64(Double(sent) * interval_ns)
      }
      let next_ns = idle.isEmpty ? end_ns : min(due_ns, end_ns)
      let count = epoll_wait(epoll, events, Int32(Self.eventsMax), Self.timeout_ms(until: next_ns, monotonic_ns()))
      now_ns = monotonic_ns()
      for event in 0..<max(0, Int(count)) { receive(Int(events[event].data.u32), buffer, now_ns) }
    }
    return figures(due: Int(Double(now_ns - start_ns) / interval_ns), duration_s: Double(now_ns - start_ns) / 1e9)
  }

  private static func timeout_ms(until next_ns: UInt64, _ now_ns: UInt64) -> Int32 {
    next_ns < now_ns + spinning_ns ? 0 : Int32((next_ns - now_ns - spinning_ns) / 1_000_000 + 1)
  }

  private mutating func send(on index: Int, due_ns: UInt64) {
    do { try connections[index].send(request, due_ns: due_ns) } catch { renew(index) }
  }

  private mutating func receive(_ index: Int, _ buffer: UnsafeMutableRawBufferPointer, _ now_ns: UInt64) {
    do {
      guard try connections[index].receive(into: buffer) else { return }
    } catch {
      return renew(index)
    }
    answered += 1
    latencies.record(min(now_ns - connections[index].due_ns, Self.latencyMax_ns))
    idle.append(index)
  }

  /// A new connection in the place of one that is no good. Where none can be made the place stays empty.
  private mutating func renew(_ index: Int) {
    errors += 1
    let wasIdle = connections[index].isIdle
    guard let connection = try? LoadConnection(to: address), (try? watch(connection, index)) != nil else { return }
    connections[index] = connection
    // An idle one is in the queue already.
    if !wasIdle { idle.append(index) }
  }

  private func watch(_ connection: LoadConnection, _ index: Int) throws {
    var event = epoll_event(events: cepoll_in, data: epoll_data_t(u32: UInt32(index)))
    if epoll_ctl(epoll, EPOLL_CTL_ADD, connection.descriptor, &event) != 0 {
      throw LoadError.system(call: "epoll_ctl", errno: errno)
    }
  }

  private func figures(due: Int, duration_s: Double) -> LoadFigures {
    func microseconds(_ percentile: Double) -> Double {
      answered == 0 ? 0 : Double(latencies.valueAtPercentile(percentile)) / 1e3
    }
    return LoadFigures(
      answered: answered, due: due, errors: errors, duration_s: duration_s, p50: microseconds(50),
      p90: microseconds(90), p99: microseconds(99), p999: microseconds(99.9), max: microseconds(100))
  }
}

func monotonic_ns() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// First in, first out, of at most as many as there is room for.
struct Queue {
  private var places: [Int]
  private var first = 0
  private(set) var count = 0

  init(capacity: Int) { places = Array(repeating: 0, count: capacity) }

  var isEmpty: Bool { count == 0 }

  mutating func append(_ value: Int) {
    precondition(count < places.count, "more connections than there are")
    places[(first + count) % places.count] = value
    count += 1
  }

  mutating func popFirst() -> Int? {
    if count == 0 { return nil }
    defer {
      first = (first + 1) % places.count
      count -= 1
    }
    return places[first]
  }
}
