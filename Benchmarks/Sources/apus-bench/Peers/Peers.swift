import Foundation

/// All servers that `--peers` knows, in the order reports have them.
enum Peers {
  static let all: [any Peer] = [
    ConfiguredPeer.nginx, ConfiguredPeer.apache, ConfiguredPeer.lighttpd, ConfiguredPeer.h2o, VarnishPeer(),
    ApusPeer(form: .kernel), ApusPeer(form: .attached), ApusPeer(form: .user), ApusPeer(form: .misses),
  ]

  static let quick = ["nginx", "lighttpd", "apus"]

  /// What every ratio is formed with.
  static let baseline = "nginx"

  static func named(_ id: String) -> (any Peer)? { all.first { $0.id == id } }
}
