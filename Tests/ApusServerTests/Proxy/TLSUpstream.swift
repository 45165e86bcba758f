import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

@testable import ApusServer

/// An upstream of one test that speaks TLS on loopback, answers each request alike, and keeps what it was asked.
final class TLSUpstream: Sendable {
  enum Ending: Sendable {
    case none
    case closeNotify
    /// A FIN alone, as somebody on the way could send it.
    case truncation
  }

  let port: Int
  private let channel: any Channel
  private let seen: Seen

  final class Seen: Sendable {
    /// The name asked for by SNI, for each handshake; "" for none.
    let names = Mutex<[String]>([])
    let requests = Mutex<[String]>([])
  }

  init(_ files: CertificateFiles, answering reply: String, ending: Ending = .none) throws {
    let seen = Seen()
    self.seen = seen
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: try NIOSSLCertificate.fromPEMFile(files.certificate).map { .certificate($0) },
      privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem)))
    configuration.sslContextCallback = { values, promise in
      seen.names.withLock { $0.append(values.serverHostname ?? "") }
      promise.succeed(.noChanges)
    }
    let context = try NIOSSLContext(configuration: configuration)
    channel = try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(NIOSSLServerHandler(context: context))
          try pipeline.addHandler(Answering(reply, ending, seen))
        }
      }
      .bind(host: "127.0.0.1", port: 0).wait()
    port = channel.localAddress!.port!
  }

  deinit { channel.close(promise: nil) }

  var names: [String] { seen.names.withLock { $0 } }
  var requests: [String] { seen.requests.withLock { $0 } }

  private final class Answering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let reply: String
    private let ending: Ending
    private let seen: Seen
    private var received = ""

    init(_ reply: String, _ ending: Ending, _ seen: Seen) {
      self.reply = reply
      self.ending = ending
      self.seen = seen
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      received += String(buffer: unwrapInboundIn(data))
      guard received.hasSuffix("\r\n\r\n") else { return }
      let request = received
      received = ""
      seen.requests.withLock { $0.append(request) }
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: reply)), promise: nil)
      switch ending {
      case .none: break
      case .closeNotify: context.close(promise: nil)
      case .truncation:
        // From the place of the TLS handler, which therefore does not learn of it.
        let tls = try? context.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self)
        tls?.close(promise: nil)
      }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
  }
}
