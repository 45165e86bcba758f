import Measuring

/// The report's main question: requests per second and throughput by size, with connections kept or one for each
/// request.
struct SizesWorkload: Workload {
  var keepsAlive: Bool

  var id: String { keepsAlive ? "keepalive" : "close" }
  var title: String { keepsAlive ? "Connections are kept" : "A connection for each request" }
  /// ab for connections: it speaks HTTP/1.0 as the report's clients did, and the server closes.
  private var client: any Client { keepsAlive ? Clients.wrk : Clients.ab }
  var needs: [Need] { [client.need] }

  func count(_ settings: Bench.Settings) -> Int {
    settings.frontPeers.count * settings.sizes.count * settings.repetitions
  }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(settings.frontPeers, sizes: settings.sizes) { servers in
      for size in settings.sizes {
        try bench.compare(servers, workload: id, size: size) {
          .init($0, client, size: size, keepsAlive: keepsAlive, settings: settings)
        }
      }
    }
  }
}

/// The report's own measurement: httperf, one connection after the other. Nothing is ever asked of the server while it
/// works, so what counts is the time an answer takes. CPU per request would say little: between requests the CPUs sleep
/// and wake.
struct SerialWorkload: Workload {
  let id = "serial"
  let title = "As in 2005: httperf, one connection after the other"
  let needs = [Clients.httperf.need]

  func count(_ settings: Bench.Settings) -> Int {
    settings.frontPeers.count * settings.sizes.count * settings.repetitions
  }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(settings.frontPeers, sizes: settings.sizes) { servers in
      for size in settings.sizes {
        try bench.compare(
          servers, workload: id, size: size,
          measure: { server, measurement in
            var run = try bench.run(measurement, of: server)
            // The probe's connections are in the CPU time and not in the requests.
            run.ownsServerCPU = false
            return run
          },
          {
            .init(
              $0, Clients.httperf, size: size, connections: 1, keepsAlive: false, settings: settings)
          })
      }
    }
  }
}

/// The same over links of 10, 100 and 1000 Mb/s, as the report's laboratory had them: where the link is the limit the
/// CPU per request still tells servers apart.
struct LinksWorkload: Workload {
  let id = "links"
  let title = "Over links of 10, 100 and 1000 Mb/s, connections kept"
  let needs = [Clients.wrk.need, Need(command: "tc", package: "iproute2")]

  private static let links_Mbps = [10, 100, 1000]
  private static let peers = ["nginx", "apache", "lighttpd", "apus", "apus-user"]
  /// The link makes runs alike; three are enough to see it.
  private static let repetitions_max = 3

  private func repetitions(_ settings: Bench.Settings) -> Int { min(settings.repetitions, Self.repetitions_max) }

  /// A link that cannot bring each connection an answer within a run would show no more than who comes first.
  private func sizes(over link_Mbps: Int, _ settings: Bench.Settings) -> [Int] {
    let bitsOfRun = Double(link_Mbps) * 1e6 * settings.duration_s
    return settings.sizes.filter { Double($0 * 8 * settings.connections) <= bitsOfRun }
  }

  func count(_ settings: Bench.Settings) -> Int {
    let cases = Self.links_Mbps.map { sizes(over: $0, settings).count }.reduce(0, +)
    return cases * settings.peers(Self.peers).count * repetitions(settings)
  }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    for link in Self.links_Mbps {
      let sizes = sizes(over: link, settings)
      try bench.withServers(settings.peers(Self.peers), sizes: sizes, link: .rate(Mbps: link)) { servers in
        for size in sizes {
          try bench.compare(
            servers, workload: id, variant: "\(link) Mb/s", size: size, repetitions: repetitions(settings)
          ) {
            var measurement = Bench.Measurement($0, Clients.wrk, size: size, settings: settings)
            // Where many packets are lost connections are handed over: how many requests are hits is a result.
            measurement.sizes = []
            return measurement
          }
        }
      }
    }
    bench.remark(
      "links: a router between the two, on the client's CPU, holds both ways to the rate. Sizes of which a link cannot bring "
        + "each connection one within a run are left out. `kernelHits` as in `mix`: a connection that loses many packets is "
        + "handed over.")
  }
}

/// Responses of several segments, with packets as they are on a wire. veth carries a response of the kernel's TCP in one
/// piece, as a network card with TSO takes it, to the client's socket, where no wire would bring it; those of the kernel
/// part are packets from the start, and without GRO the client's TCP sees each of them. Here both are packets, and the
/// client puts them together.
struct WireWorkload: Workload {
  let id = "wire"
  let title = "Packets as on a wire: no TSO at the server, GRO at the client; connections kept"
  let needs = [Clients.wrk.need, Need(command: "ethtool", package: "ethtool")]

  private static let sizes = [10_240, 14_000]

  func count(_ settings: Bench.Settings) -> Int {
    settings.frontPeers.count * Self.sizes.count * settings.repetitions
  }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(settings.frontPeers, sizes: Self.sizes, link: .packets) { servers in
      for size in Self.sizes {
        try bench.compare(servers, workload: id, size: size) {
          .init($0, Clients.wrk, size: size, settings: settings)
        }
      }
    }
  }
}

/// The sizes SPEC found (the report's Table 5). A connection on which a file is asked for that is too large for the
/// kernel part is the server's behind from there on, so it matters whether connections are kept.
struct MixWorkload: Workload {
  let id = "mix"
  let title = "The mix of sizes of the report's Table 5"
  let needs = [Clients.wrk.need]

  private static let variants = [("connections kept", true), ("a connection for each request", false)]

  func count(_ settings: Bench.Settings) -> Int {
    settings.frontPeers.count * settings.repetitions * Self.variants.count
  }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(settings.frontPeers, sizes: SizeMix.sizes) { servers in
      for (variant, keepsAlive) in Self.variants {
        try bench.compare(servers, workload: id, variant: variant, size: nil) { server in
          var measurement = Bench.Measurement(
            server, Clients.wrk, size: 0, keepsAlive: keepsAlive, settings: settings)
          measurement.load.targets = SizeMix.requests.map(Site.target)
          // How many of them are hits is a result: `kernelHits`.
          measurement.sizes = []
          return measurement
        }
      }
    }
    bench.remark(
      "mix: `kernelHits` is the part of the requests that the kernel part answered. A kept connection is handed over "
        + "for good with its first request for a file above about 14 KB, which 15 % of the requests are.")
  }
}
