import Foundation
import TestSupport

/// A server told everything by a file of `Configuration/`.
struct ConfiguredPeer: Peer {
  var id: String
  var title: String
  var needs: [Need]
  /// In `Configuration/`.
  var template: String
  /// Names of the template beside those every template knows.
  var values: [String: String] = [:]
  var port: UInt16 = 80
  /// From the scratch directory and the path of the configuration.
  var command: @Sendable (_ directory: String, _ configuration: String, _ address: String, _ port: UInt16) -> [String]

  func start(at place: Place) throws -> any StartedPeer { try ConfiguredServer(self, at: place) }

  /// The configuration with everything filled in.
  func configuration(_ place: Place, directory: String) throws -> String {
    guard let folder = Bundle.module.url(forResource: "Configuration", withExtension: nil) else {
      throw SupportError("the configurations are not beside the program: build it with SwiftPM")
    }
    var text = try String(contentsOf: folder.appendingPathComponent(template), encoding: .utf8)
    let places = [
      "directory": directory, "root": place.root, "address": place.network.serverAddress, "port": "\(port)",
    ]
    for (name, value) in places.merging(values, uniquingKeysWith: { $1 }) {
      text = text.replacingOccurrences(
        of: "{{\(name)}}", with: value.replacingOccurrences(of: "{{directory}}", with: directory))
    }
    guard !text.contains("{{") else { throw SupportError("\(template): a name is not filled in") }
    return text
  }
}

/// A configured server that runs.
final class ConfiguredServer: StartedPeer, StoppableServer {
  private let directory: ScratchDirectory
  private let process: RunningProcess

  init(_ peer: ConfiguredPeer, at place: Place) throws {
    directory = try ScratchDirectory(peer.id)
    // Servers that give up root must still write their logs.
    chmod(directory.path, 0o777)
    try directory.write(peer.configuration(place, directory: directory.path).utf8, to: peer.template)
    let command = peer.command(
      directory.path, directory.path(of: peer.template), place.network.serverAddress, peer.port)
    process = try place.network.server.start(
      place.cpus.pinnedToServer(command), environment: ["PATH": searchPath])
    place.network.adopt(self)
    let up = eventually(timeout_s: 15) {
      process.poll() != nil || (try? RawClient(place.network, port: peer.port)) != nil
    }
    guard up, process.poll() == nil else {
      let log = String(decoding: (try? directory.read("error.log")) ?? [], as: UTF8.self)
      throw SupportError("\(peer.id) does not answer: \(process.transcript)\n\(log)")
    }
  }

  func kill() { process.kill() }
}

extension ConfiguredPeer {
  static let nginx = ConfiguredPeer(
    id: "nginx", title: "nginx", needs: [Need(command: "nginx", package: "nginx-light")], template: "nginx.conf",
    values: ["nopush": "on", "access_log": "off", "tls": ""],
    command: { directory, configuration, _, _ in ["nginx", "-p", directory, "-c", configuration] })

  /// nginx, otherwise than best: for the workloads that ask what one setting is worth.
  static func nginx(_ id: String, _ title: String, port: UInt16 = 80, _ changes: [String: String] = [:])
    -> ConfiguredPeer
  {
    var peer = nginx
    (peer.id, peer.title, peer.port) = (id, title, port)
    peer.values.merge(changes) { $1 }
    return peer
  }

  /// nginx with TLS 1.3 at port 443 as well; sessions are not resumed, nor is there a reason to.
  static func nginxTLS(certificate: String, key: String) -> ConfiguredPeer {
    nginx(
      "nginx", "nginx, TLS",
      [
        "tls": """
        listen 443 ssl backlog=65535;
            ssl_certificate \(certificate);
            ssl_certificate_key \(key);
            ssl_protocols TLSv1.3;
        """
      ])
  }

  static let apache = ConfiguredPeer(
    id: "apache", title: "Apache (event)", needs: [Need(command: "apache2", package: "apache2-bin")],
    template: "apache.conf",
    command: { directory, configuration, _, _ in ["apache2", "-d", directory, "-f", configuration, "-DFOREGROUND"] })

  static let lighttpd = ConfiguredPeer(
    id: "lighttpd", title: "lighttpd", needs: [Need(command: "lighttpd", package: "lighttpd")],
    template: "lighttpd.conf", command: { _, configuration, _, _ in ["lighttpd", "-D", "-f", configuration] })

  static let h2o = ConfiguredPeer(
    id: "h2o", title: "h2o", needs: [Need(command: "h2o", package: "h2o")], template: "h2o.conf",
    command: { _, configuration, _, _ in ["h2o", "-m", "worker", "-c", configuration] })
}

/// Varnish with nginx behind it, and all objects in its memory.
struct VarnishPeer: Peer {
  let id = "varnish"
  let title = "Varnish"
  let needs =
    [
      Need(command: "varnishd", package: "varnish"), Need(command: "gcc", package: "gcc"),
    ] + ConfiguredPeer.nginx.needs

  private static let backendPort: UInt16 = 8080

  func start(at place: Place) throws -> any StartedPeer {
    _ = try ConfiguredPeer.nginx("varnish-backend", "nginx", port: Self.backendPort).start(at: place)
    let varnish = ConfiguredPeer(
      id: id, title: title, needs: needs, template: "varnish.vcl", values: ["backend_port": "\(Self.backendPort)"],
      command: { directory, configuration, address, port in
        // One pool for each CPU it may use (docs: "more than one pool rarely pays"), with threads for ten thousand
        // connections' bursts; bodies of a megabyte must fit; a queue as long as net.core.somaxconn allows; no limit of
        // time for idle connections.
        [
          "varnishd", "-F", "-j", "none", "-f", configuration, "-a", "\(address):\(port)", "-n", directory,
          "-s", "malloc,256m", "-p", "thread_pools=1", "-p", "thread_pool_min=100", "-p", "thread_pool_max=5000",
          "-p", "listen_depth=65535", "-p", "timeout_idle=600",
        ]
      })
    return try varnish.start(at: place)
  }
}
