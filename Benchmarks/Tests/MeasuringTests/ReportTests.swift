import Testing

@testable import Measuring

@Suite struct ReportTests {
  private func run(_ requests: Int, busy_s: Double, p99_us: Double = 100) -> Run {
    Run(
      client: ClientFigures(requests: requests, duration_s: 1, errors: 0, p50_us: 50, p99_us: p99_us),
      serverBusy_s: busy_s, serverBusyShare: busy_s, clientBusyShare: 0.99)
  }

  /// nginx and Apus, Apus so many times better at CPU.
  private func pair(_ workload: String, _ size: Int, variant: String = "", times: Double) -> [BenchResult] {
    let nginx = [run(1000, busy_s: 0.95)]
    let apus = [run(1500, busy_s: 0.95 * 1.5 / times, p99_us: 50)]
    return [("nginx", nginx), ("apus", apus)].compactMap { server, runs in
      BenchResult(
        .init(server: server, workload: workload, variant: variant, size: size, client: "wrk"), runs: runs,
        baseline: ("nginx", nginx))
    }
  }

  private func report(_ results: [BenchResult], refusals: [String] = []) -> Report {
    Report(
      results: results, micro: [], sections: [.init(id: "keepalive", title: "Connections are kept")],
      conditions: ["A machine."], remarks: [], refusals: refusals)
  }

  @Test("a target is kept only if the worst of its sizes keeps it")
  func targets() throws {
    let good = report(pair("keepalive", 64, times: 6) + pair("keepalive", 1024, times: 5.5)).targets
    #expect(good.map(\.isMet) == [true])
    let poor = report(pair("keepalive", 64, times: 6) + pair("keepalive", 1024, times: 4.5)).targets
    #expect(poor.map(\.isMet) == [false])
    #expect(abs(try #require(poor.first).measured - 4.5) < 1e-9)
    #expect(report(pair("keepalive", 4096, times: 9)).targets.isEmpty)
    #expect(report(pair("latency", 1024, times: 1)).targets.map(\.isMet) == [true])
  }

  @Test("goodput at the highest load counts against the best at any")
  func goodput() throws {
    let rising = pair("overload", 1024, variant: "1.0x capacity", times: 1)
    var falling = pair("overload", 1024, variant: "4.0x capacity", times: 1)
    falling[1].requestsPerSecond *= 0.9
    let target = try #require(report(rising + falling).targets.first)
    #expect(abs(target.measured - 0.9) < 1e-9)
    #expect(!target.isMet)
  }

  @Test("the text tells where the client was the limit, and what is not reported")
  func text() {
    let text = report(pair("keepalive", 64, times: 3), refusals: ["h2o: wrong body\nprinted this"]).markdown(charts: [])
    #expect(text.contains("| 64 B (wrk) | apus | 1500 (1500 - 1500) \\* | 316.7"))
    #expect(text.contains("1.50 (1.50 - 1.50) | 3.00 (3.00 - 3.00) |"))
    #expect(text.contains("The client's CPU was the limit"))
    #expect(text.contains("- h2o: wrong body\n"))
    #expect(!text.contains("printed this"))
  }

  @Test("where others worked on the CPUs, every table that is quoted says so")
  func caution() {
    var report = report(pair("keepalive", 64, times: 3))
    #expect(report.blocks["headline"]?.contains("no measurement") == false)
    report.caution = "no measurement"
    for name in ["headline", "comparison"] { #expect(report.blocks[name]?.hasSuffix("**no measurement**") == true) }
    #expect(report.markdown(charts: []).contains("**no measurement**"))
  }

  @Test("labels that would touch are left out") func labels() {
    let sizes: [Double] = [64, 1024, 10_240, 14_000, 1_048_576]
    let chart = Chart(
      workload: "", fileName: "", title: "", yLabel: "", kind: .lines(xLabel: "size"),
      series: [.init(title: "apus", points: sizes.map { ($0, 1) })])
    let labels = chart.ticLabels(isSize: true)
    #expect(labels.map(\.x) == sizes)
    #expect(labels.map(\.label) == ["64 B", "1 KB", "10 KB", "", "1 MB"])
  }

  @Test("charts have a line per server, with a point per size")
  func charts() throws {
    let results = pair("keepalive", 1024, times: 3) + pair("keepalive", 64, times: 3)
    let charts = report(results).charts
    #expect(
      charts.map(\.fileName) == ["requests-keepalive.svg", "throughput-keepalive.svg", "cpu-keepalive.svg"])
    let requests = try #require(charts.first)
    #expect(requests.series.map(\.title) == ["nginx", "apus"])
    #expect(requests.series[1].points.map(\.x) == [64, 1024])
    let script = requests.script(output: "/tmp/x.svg")
    #expect(script.contains("set output \"/tmp/x.svg\""))
    #expect(script.contains("\"1 KB\" 1024"))
    #expect(script.contains("64 1500.0\n1024 1500.0\nEND"))
    // A single size makes no line.
    #expect(report(pair("keepalive", 64, times: 3)).charts.isEmpty)
  }

  @Test("generated parts of documents are replaced, and nothing else")
  func placeholders() {
    let document = """
      Before.
      <!-- apus-bench table -->
      old
      <!-- /apus-bench -->
      Between. <!-- apus-bench other -->
      kept
      <!-- /apus-bench -->
      """
    let once = Placeholders.fill(document, ["table": "new\n"])
    #expect(
      once == """
        Before.
        <!-- apus-bench table -->
        new
        <!-- /apus-bench -->
        Between. <!-- apus-bench other -->
        kept
        <!-- /apus-bench -->
        """)
    #expect(Placeholders.fill(once, ["table": "new"]) == once)
  }

  @Test("faster is said as the report of 2005 says it: 100 % is twice as fast")
  func comparison() throws {
    let block = try #require(report(pair("close", 64, times: 3) + pair("close", 1024, times: 4)).blocks["comparison"])
    #expect(block.contains("| small (up to 1 KB) |  | 50 % | 200 % to 300 % |  |  |"))
  }
}
