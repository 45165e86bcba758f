import Foundation

/// The web servers whose answers Apus must repeat, as Debian ships them.
public enum UnmodifiedServer: String, CaseIterable, Sendable {
  case nginx, apache, lighttpd
  /// The same with compression: nginx without and with Vary, Apache and lighttpd as Debian sets them up.
  case compressingNginx, varyingNginx, deflatingApache, deflatingLighttpd

  /// Those that answer everybody alike.
  public static let plain: [UnmodifiedServer] = [.nginx, .apache, .lighttpd]
  /// Those that do not.
  public static let compressing: [UnmodifiedServer] = [
    .compressingNginx, .varyingNginx, .deflatingApache, .deflatingLighttpd,
  ]

  /// Starts it at port 80 of the network's server, and waits until it answers.
  public func start(in network: TestNetwork, root: String) throws -> any StoppableServer {
    switch self {
    case .nginx, .compressingNginx, .varyingNginx:
      let gzip = "gzip on; gzip_types *; gzip_min_length 20;"
      let lines = self == .nginx ? "" : gzip + " gzip_vary \(self == .varyingNginx ? "on" : "off");"
      return try NginxServer(in: network, port: 80, root: root, accessLog: false, serverLines: lines)
    case .deflatingApache:
      return try ConfiguredServer(
        in: network, name: "apache2", configuration: { Self.apache(network, root)($0) + Self.deflate }
      ) { ["apache2", "-d", $0, "-f", "\($0)/configuration", "-DFOREGROUND"] }
    case .apache:
      return try ConfiguredServer(in: network, name: "apache2", configuration: Self.apache(network, root)) {
        ["apache2", "-d", $0, "-f", "\($0)/configuration", "-DFOREGROUND"]
      }
    case .lighttpd:
      return try ConfiguredServer(in: network, name: "lighttpd", configuration: Self.lighttpd(network, root)) {
        ["lighttpd", "-D", "-f", "\($0)/configuration"]
      }
    case .deflatingLighttpd:
      return try ConfiguredServer(
        in: network, name: "lighttpd",
        configuration: { Self.lighttpd(network, root)($0) + Self.lighttpdDeflate($0) }
      ) { ["lighttpd", "-D", "-f", "\($0)/configuration"] }
    }
  }

  /// All that is not about places is Debian's default or the server's own, but for the number of threads: where they are
  /// all busy Apache closes connections others would have used again.
  private static func apache(_ network: TestNetwork, _ root: String) -> (String) -> String {
    { directory in
      """
      ServerRoot \(directory)
      DefaultRuntimeDir \(directory)
      PidFile \(directory)/pid
      ErrorLog \(directory)/error.log
      Listen \(network.serverAddress):80
      ServerName apus.test
      LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
      LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
      LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
      LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
      TypesConfig \(directory)/mime.types
      ThreadLimit 64
      ThreadsPerChild 64
      StartServers 2
      MaxRequestWorkers 256
      User www-data
      Group www-data
      Timeout 300
      KeepAlive On
      MaxKeepAliveRequests 100
      KeepAliveTimeout 5
      DocumentRoot \(root)
      <Directory \(root)>
        Require all granted
      </Directory>

      """
    }
  }

  /// Debian's deflate.conf.
  private static let deflate = """
    LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so
    LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so
    AddOutputFilterByType DEFLATE text/html text/plain text/xml text/css text/javascript
    AddOutputFilterByType DEFLATE application/x-javascript application/javascript application/ecmascript
    AddOutputFilterByType DEFLATE application/rss+xml
    AddOutputFilterByType DEFLATE application/wasm
    AddOutputFilterByType DEFLATE application/xml

    """

  private static func lighttpd(_ network: TestNetwork, _ root: String) -> (String) -> String {
    { directory in
      """
      server.modules = ( "mod_indexfile", "mod_staticfile" )
      server.document-root = "\(root)"
      server.bind = "\(network.serverAddress)"
      server.port = 80
      server.errorlog = "\(directory)/error.log"
      server.pid-file = "\(directory)/pid"
      server.http-parseopts = (
        "header-strict" => "enable", "host-strict" => "enable", "host-normalize" => "enable",
        "url-normalize-unreserved" => "enable", "url-normalize-required" => "enable", "url-ctrls-reject" => "enable",
        "url-path-2f-decode" => "enable", "url-path-dotseg-remove" => "enable"
      )
      index-file.names = ( "index.html" )
      mimetype.assign = ( ".html" => "text/html", ".css" => "text/css", ".js" => "text/javascript",
        ".png" => "image/png" )

      """
    }
  }

  /// Debian's 20-deflate.conf (package lighttpd-mod-deflate) with the codings it leaves open, for small files, too, and
  /// for scripts by their type here.
  private static func lighttpdDeflate(_ directory: String) -> String {
    """
    server.modules += ( "mod_deflate" )
    deflate.cache-dir = "\(directory)/compress"
    deflate.mimetypes = ( "text/javascript", "text/css", "text/html", "text/plain" )
    deflate.allowed-encodings = ( "gzip", "br", "deflate" )
    deflate.min-compress-size = 20

    """
  }
}

/// A server that is told everything by one file.
private final class ConfiguredServer: StoppableServer {
  private let directory: ScratchDirectory
  private let process: RunningProcess

  init(
    in network: TestNetwork, name: String, configuration: (String) -> String, command: (String) -> [String]
  ) throws {
    directory = try ScratchDirectory(name)
    try directory.write(configuration(directory.path).utf8, to: "configuration")
    try directory.write("text/html html\ntext/css css\ntext/javascript js\nimage/png png\n".utf8, to: "mime.types")
    process = try network.server.start(command(directory.path), environment: ["PATH": searchPathWithSbin])
    network.adopt(self)
    let up = eventually(timeout_s: 10) { process.poll() != nil || (try? RawClient(network)) != nil }
    guard up, process.poll() == nil else {
      let log = String(decoding: (try? directory.read("error.log")) ?? [], as: UTF8.self)
      throw SupportError("\(name) does not answer: \(process.transcript)\n\(log)")
    }
  }

  func kill() { process.kill() }
}
