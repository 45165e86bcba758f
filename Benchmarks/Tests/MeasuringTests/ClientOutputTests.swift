import Testing

@testable import Measuring

/// What Debian's clients print, kept as they printed it.
@Suite struct ClientOutputTests {
  @Test("wrk")
  func wrk() throws {
    let figures = try ClientOutput.wrk(
      """
      Running 1s test @ http://10.77.0.1:80/file-64.html
        1 threads and 32 connections
        Thread Stats   Avg      Stdev     Max   +/- Stdev
          Latency   413.07us  127.50us   3.73ms   95.70%
          Req/Sec    77.24k     4.06k   82.99k    72.73%
        Latency Distribution
           50%  385.00us
           75%  415.00us
           90%  478.00us
           99%    1.02ms
        84402 requests in 1.10s, 24.71MB read
        Socket errors: connect 1, read 2, write 3, timeout 4
        Non-2xx or 3xx responses: 5
      Requests/sec:  76742.68
      Transfer/sec:     22.47MB
      """)
    #expect(figures == ClientFigures(requests: 84_402, duration_s: 1.1, errors: 15, p50_us: 385, p99_us: 1020))
  }

  @Test("ab, with its file of percentiles")
  func ab() throws {
    let figures = try ClientOutput.ab(
      """
      Document Path:          /file-64.html
      Document Length:        64 bytes

      Concurrency Level:      32
      Time taken for tests:   2.500 seconds
      Complete requests:      50000
      Failed requests:        3
         (Connect: 0, Receive: 0, Length: 3, Exceptions: 0)
      Non-2xx responses:      4
      Requests per second:    20000.00 [#/sec] (mean)
      """, percentiles: "Percentage served,Time in ms\n0,0.121\n50,1.312\n99,4.250\n")
    #expect(figures == ClientFigures(requests: 50_000, duration_s: 2.5, errors: 7, p50_us: 1312, p99_us: 4250))
  }

  @Test("h2load")
  func h2load() throws {
    let figures = try ClientOutput.h2load(
      """
      finished in 2.01s, 50.00 req/s, 25.00KB/s
      requests: 108 total, 107 started, 100 done, 98 succeeded, 2 failed, 1 errored, 3 timeout
      status codes: 98 2xx, 0 3xx, 2 4xx, 0 5xx
      """, duration_s: 2)
    #expect(figures == ClientFigures(requests: 98, duration_s: 2, errors: 5))
  }

  @Test("siege, which counts a redirection as a transaction")
  func siege() throws {
    let output = """
      {\t"transactions":\t\t\t       23760,
      \t"availability":\t\t\t      100.00,
      \t"elapsed_time":\t\t\t        2.69,
      \t"transaction_rate":\t\t     8832.71,
      \t"successful_transactions":\t       23772,
      \t"failed_transactions":\t\t           3
      }
      """
    #expect(
      try ClientOutput.siege(output, transactionsPerRequest: 2)
        == ClientFigures(requests: 11_880, duration_s: 2.69, errors: 3))
    #expect(try ClientOutput.siege(output, transactionsPerRequest: 1).requests == 23_760)
    #expect(throws: UnreadableOutput.self) { try ClientOutput.siege("", transactionsPerRequest: 1) }
  }

  @Test("httperf: the example of the report")
  func httperf() throws {
    let figures = try ClientOutput.httperf(
      """
      Maximum connect burst length: 1

      Total: connections 1000 requests 1000 replies 990 test-duration 0.527 s

      Connection rate: 1897.3 conn/s (0.5 ms/conn, <=1 concurrent connections)
      Connection time [ms]: min 0.5 avg 0.5 max 46.2 median 0.5 stddev 1.4
      Connection time [ms]: connect 0.1

      Reply status: 1xx=0 2xx=988 3xx=0 4xx=2 5xx=0

      Errors: total 10 client-timo 10 socket-timo 0 connrefused 0 connreset 0
      Errors: fd-unavail 0 addrunavail 0 ftab-full 0 other 0
      """)
    #expect(figures == ClientFigures(requests: 990, duration_s: 0.527, errors: 12))
  }

  @Test("what is no client's output is an error, not a zero")
  func garbage() {
    #expect(throws: UnreadableOutput.self) { try ClientOutput.wrk("unable to connect") }
    #expect(throws: UnreadableOutput.self) { try ClientOutput.ab("apr_socket_recv: Connection reset by peer") }
    #expect(throws: UnreadableOutput.self) { try ClientOutput.h2load("", duration_s: 1) }
    #expect(throws: UnreadableOutput.self) { try ClientOutput.httperf("") }
  }

  @Test(
    "times as wrk writes them",
    arguments: [("319.00us", 319), ("1.20ms", 1200), ("1.01s", 1_010_000), ("2.00m", 1.2e8)])
  func times(text: String, value_us: Double) throws {
    #expect(abs(try #require(ClientOutput.microseconds(text)) - value_us) < 0.01)
  }

  @Test("what apus doctor says of the program")
  func program() {
    let figures = ProgramFigures.parse(
      """
      instructions            6749
      verified instructions   348964 of 1000000
      stack                   464 bytes on the deepest path, of 512
      load time               194 ms
      run time per packet: sysctl -w kernel.bpf_stats_enabled=1, then bpftool prog show name apus_ingress
      """)
    #expect(
      figures == ["instructions": 6749, "verified instructions": 348_964, "stack": 464, "load time": 194])
  }
}
