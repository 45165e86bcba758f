import Foundation

/// An unmodified nginx with a configuration and files of its own, one worker.
public final class NginxServer: StoppableServer {
  public let port: UInt16
  private let directory: ScratchDirectory
  private let process: RunningProcess

  /// A line of the access log.
  public struct LogLine: Sendable {
    public let remoteAddress: String
    public let method: String
    /// The request target with its query.
    public let target: String
    public let status: Int
    /// The number of the connection in the server, and of the request on that connection.
    public let connection: Int
    public let requestOfConnection: Int
  }

  /// Starts nginx and waits until it answers.
  ///
  /// - Parameters:
  ///   - root: its document root; `PUT` below `/uploads/` writes to ``upload(_:)``.
  ///   - accessLog: benchmarks do without.
  ///   - serverLines: further lines of the server's block.
  ///   - commandPrefix: put before the command, such as `["taskset", "-c", "0"]`.
  public init(
    in network: TestNetwork, port: UInt16 = 80, root: String, accessLog: Bool = true, serverLines: String = "",
    commandPrefix: [String] = []
  ) throws {
    self.port = port
    directory = try ScratchDirectory("nginx")
    try FileManager.default.createDirectory(
      atPath: directory.path(of: "uploads"), withIntermediateDirectories: true)
    let address = network.server(port: port)
    let text = Self.configuration(
      address: address, root: root, directory: directory.path, accessLog: accessLog, serverLines: serverLines)
    try directory.write(text.utf8, to: "nginx.conf")
    let arguments = ["nginx", "-p", directory.path, "-c", directory.path(of: "nginx.conf")]
    process = try network.server.start(commandPrefix + arguments, environment: ["PATH": searchPathWithSbin])
    network.adopt(self)
    let up = eventually(timeout_s: 10) {
      process.poll() != nil || (try? RawClient(network, port: port)) != nil
    }
    guard up, process.poll() == nil else { throw SupportError("nginx does not answer: \(process.transcript)") }
  }

  private static func configuration(
    address: String, root: String, directory: String, accessLog: Bool, serverLines: String
  ) -> String {
    let format = "$remote_addr $request_method $request_uri $status $connection $connection_requests"
    // The workers of a master that runs as root must read what only its owner may.
    return """
      \(geteuid() == 0 ? "user root;" : "")
      worker_processes 1;
      daemon off;
      pid \(directory)/nginx.pid;
      error_log stderr warn;
      events { worker_connections 1024; }
      http {
        include /etc/nginx/mime.types;
        default_type application/octet-stream;
        sendfile on;
        tcp_nopush on;
        tcp_nodelay on;
        keepalive_requests 1000000000;
        keepalive_timeout 60s;
        open_file_cache \(accessLog ? "off" : "max=1000 inactive=60s");
        client_max_body_size 4m;
        client_body_temp_path \(directory)/body;
        proxy_temp_path \(directory)/proxy;
        fastcgi_temp_path \(directory)/fastcgi;
        uwsgi_temp_path \(directory)/uwsgi;
        scgi_temp_path \(directory)/scgi;
        log_format test '\(format)';
        access_log \(accessLog ? "\(directory)/access.log test" : "off");
        server {
          listen \(address) backlog=4096;
          root \(root);
          \(serverLines)
          location /uploads/ {
            root \(directory);
            dav_methods PUT;
          }
        }
      }

      """
  }

  /// What it logged so far.
  public func log() throws -> [LogLine] {
    String(decoding: try directory.read("access.log"), as: UTF8.self).split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ")
      guard parts.count == 6, let status = Int(parts[3]), let connection = Int(parts[4]), let number = Int(parts[5])
      else { return nil }
      return LogLine(
        remoteAddress: String(parts[0]), method: String(parts[1]), target: String(parts[2]), status: status,
        connection: connection, requestOfConnection: number)
    }
  }

  /// The bytes of a file uploaded with `PUT /uploads/NAME`.
  public func upload(_ name: String) throws -> [UInt8] { try directory.read("uploads/" + name) }

  public func kill() { process.kill() }
}

/// PATH with the directories Debian puts servers in.
let searchPathWithSbin = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin") + ":/usr/sbin:/sbin"
