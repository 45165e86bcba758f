import Testing

@testable import Measuring

@Suite struct StatisticsTests {
  @Test("a spread has the middle value, or the mean of the two in the middle")
  func spread() {
    #expect(Spread([3, 1, 2]) == Spread([1, 2, 3]))
    #expect(Spread([5, 1, 3]).median == 3)
    #expect(Spread([4, 1, 2, 10]).median == 3)
    #expect(Spread([4, 1, 2, 10]).smallest == 1)
    #expect(Spread([4, 1, 2, 10]).largest == 10)
  }

  @Test("ratios are formed pair by pair, and a pair with a failed run does not count")
  func ratios() {
    // The ratio of the medians would be 20 / 2 = 10.
    let spread = Spread.ratios([10, 20, 90], to: [1, 10, 2])
    #expect(spread?.median == 10)
    #expect(Spread.ratios([30, nil, 90], to: [10, 1, nil])?.median == 3)
    #expect(Spread.ratios([nil], to: [1]) == nil)
    #expect(Spread.ratios([1], to: [0]) == nil)
  }

  @Test("a percentile is the smallest value that so many do not exceed")
  func percentiles() {
    let values = (1...100).map(Double.init).reversed()
    #expect(percentile(Array(values), 0.5) == 50)
    #expect(percentile(Array(values), 0.99) == 99)
    #expect(percentile(Array(values), 1) == 100)
    #expect(percentile([7], 0.01) == 7)
    #expect(percentile([], 0.5) == nil)
  }

  @Test("busy is wall time less idle time, of the right CPU")
  func cpuTime() throws {
    let before = "cpu  9 9 9 9 9\ncpu1 50 0 10 100 20 5\ncpu10 1 1 1 1 1\n"
    let after = "cpu  9 9 9 9 9\ncpu1 99 9 99 150 30 5\ncpu10 1 1 1 1 1\n"
    let start = try #require(CPUTime(before, cpu: 1, wall_s: 10, ticksPerSecond: 100))
    let end = try #require(CPUTime(after, cpu: 1, wall_s: 12, ticksPerSecond: 100))
    #expect(abs(end.busySeconds(since: start) - 1.4) < 1e-9)
    #expect(abs(end.busyShare(since: start) - 0.7) < 1e-9)
    #expect(CPUTime(before, cpu: 2, wall_s: 0, ticksPerSecond: 100) == nil)
  }

  @Test("the mix has the shares of the report's Table 5")
  func mix() {
    let requests = SizeMix.requests
    func share(_ sizes: ClosedRange<Int>) -> Double {
      Double(requests.count { sizes.contains($0) }) / Double(requests.count)
    }
    #expect(requests.count == 900)
    #expect(share(1...999) == 0.35)
    #expect(share(1000...9999) == 0.5)
    #expect(share(10_000...99_999) == 0.14)
    #expect(share(100_000...999_999) == 0.01)
    #expect(Set(requests) == Set(SizeMix.sizes))
    // Well mixed: a tenth of the list has its share of small files, give or take what chance gives and takes.
    let small = requests.prefix(90).count { $0 < 1000 }
    #expect((18...45).contains(small))
  }
}

@Suite struct ResultTests {
  private func run(_ requests: Int, busy_s: Double, client: Double = 0.5) -> Run {
    Run(
      client: ClientFigures(requests: requests, duration_s: 1, errors: 0, p50_us: 10, p99_us: Double(requests)),
      serverBusy_s: busy_s, serverBusyShare: busy_s, clientBusyShare: client)
  }

  private let identity = BenchResult.Identity(server: "apus", workload: "close", size: 64, client: "ab")

  @Test("a result has medians, and ratios that say how many times better")
  func medians() throws {
    let result = try #require(
      BenchResult(
        identity, runs: [run(200, busy_s: 0.2), nil, run(400, busy_s: 0.4)],
        baseline: ("nginx", [run(100, busy_s: 0.5), run(100, busy_s: 0.5), run(100, busy_s: 0.5)])))
    #expect(result.requestsPerSecond == 300)
    #expect(result.repetitions == 2)
    #expect(abs(result.cpuMicrosecondsPerRequest! - 1000) < 1e-6)
    #expect(result.ratios?.requestsPerSecond?.median == 3)
    #expect(abs(result.ratios!.cpuPerRequest!.median - 5) < 1e-9)
    #expect(result.ratios?.p99?.median == 3)
    #expect(result.throughput == 19_200.0)
  }

  @Test("nothing is reported of a server whose runs all failed")
  func nothing() {
    #expect(BenchResult(identity, runs: [nil, nil], baseline: nil) == nil)
  }

  @Test("the client is the limit where its CPU is busy and the server's is not")
  func clientLimit() {
    #expect(run(1, busy_s: 0.5, client: 0.99).isLimitedByClient)
    #expect(!run(1, busy_s: 0.99, client: 0.99).isLimitedByClient)
    #expect(!run(1, busy_s: 0.5, client: 0.5).isLimitedByClient)
  }

  @Test(
    "a client that keeps the pace it was told is not the limit, however busy it is",
    arguments: [(1000, false), (900, true)])
  func pace(requests: Int, isLimit: Bool) {
    var busy = run(1, busy_s: 0.5, client: 0.99)
    busy.client.requests = requests
    busy.client.due = 1001
    #expect(busy.isLimitedByClient == isLimit)
  }

  @Test("CPU per request is not told where others ran on the server's CPU on purpose")
  func shared() {
    var shared = run(100, busy_s: 0.5)
    shared.ownsServerCPU = false
    #expect(shared.cpuMicrosecondsPerRequest == nil)
  }

  @Test("a figure more than its tolerance above its budget is a failure, and so is one that is missing")
  func budgets() {
    let budget = Budgets.Budget(figure: "stack", most: 464, tolerance: 0.1, unit: "bytes", reason: "the kernel's limit")
    let budgets = Budgets(budgets: [budget])
    #expect(budgets.failures(["stack": 464]).isEmpty)
    #expect(budgets.failures(["stack": 510]).isEmpty)
    #expect(budgets.failures(["stack": 511]).count == 1)
    #expect(budgets.failures([:]).count == 1)
  }
}
