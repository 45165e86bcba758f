import KernelSockets
import KernelTestSupport
import Testing

/// A client of the kernel part: what it has sent and received, and the packets that follow from it.
struct Client {
  let bench: Bench
  let local: Endpoint
  /// SND.NXT and RCV.NXT (RFC 9293 section 3.3.1).
  var next: UInt32
  var received: UInt32 = 0

  init(_ bench: Bench, start: UInt32 = 0xffff_ffc0) {
    self.bench = bench
    local = bench.newClient()
    next = start
  }

  var flow: FlowKey { Bench.flow(local) }

  func segment(
    _ flags: SegmentFlags = .ack, sequence: UInt32? = nil, acknowledgement: UInt32? = nil,
    options: [TCPOptionBytes] = [], _ payload: [UInt8] = []
  ) -> Packet {
    .tcp(
      from: local, to: Bench.server, flags, sequence: sequence ?? next, acknowledgement: acknowledgement ?? received,
      options: options, payload: payload)
  }

  func request(_ text: [UInt8], fin: Bool = false) -> Packet {
    segment(fin ? [.psh, .ack, .fin] : [.psh, .ack], text)
  }

  /// Shakes hands.
  mutating func connect(segmentSize: UInt16? = 1460, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let options =
      segmentSize.map { [TCPOptionBytes.segmentSize($0), .selectiveAcknowledgement, .windowScale(7)] } ?? []
    let syn = segment(.syn, acknowledgement: 0, options: options)
    let outcome = try bench.send(
      syn, .synAck(segmentSize: segmentSize, acknowledging: next &+ 1), sourceLocation: sourceLocation)
    let reply = try #require(outcome.reply, sourceLocation: sourceLocation)
    next &+= 1
    received = reply.sequence &+ 1
    try bench.send(segment(), .dropped(.handshakeAcknowledgement), sourceLocation: sourceLocation)
  }

  /// Sends a request that must be a hit, and takes the response.
  mutating func get(
    _ text: [UInt8], _ response: [UInt8], closes: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try bench.send(
      request(text), .response(response, sequence: received, acknowledging: next &+ UInt32(text.count), fin: closes),
      sourceLocation: sourceLocation)
    advance(request: text.count, response: response.count, closes: closes)
  }

  mutating func advance(request: Int, response: Int, closes: Bool = false) {
    next &+= UInt32(request)
    received &+= UInt32(response) &+ (closes ? 1 : 0)
  }
}

/// A head with Host `a`.
func head(_ line: String, _ fields: String...) -> [UInt8] {
  Array(([line, "Host: a"] + fields).map { $0 + "\r\n" }.joined().utf8) + [0x0d, 0x0a]
}
func get(_ path: String, _ fields: String...) -> [UInt8] {
  Array((["GET \(path) HTTP/1.1", "Host: a"] + fields).map { $0 + "\r\n" }.joined().utf8) + [0x0d, 0x0a]
}
