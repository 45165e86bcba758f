import Foundation

/// Programs of the tests in Python, with its standard library only.
public enum PythonPrograms {
  /// An application to be proxied to, at the port given: `/echo` answers with the head it got and the length and hash of
  /// its body, `/slow` in pieces, `/socket` is a WebSocket that echoes, all else is 404.
  public static let application = #"""
    import base64, hashlib, http.server, socketserver, struct, sys, time

    class Handler(http.server.BaseHTTPRequestHandler):
      protocol_version = "HTTP/1.1"
      def log_message(self, *arguments): pass

      def body(self):
        if self.headers.get("Transfer-Encoding", "") == "chunked":
          while True:
            size = int(self.rfile.readline(), 16)
            piece = self.rfile.read(size)
            self.rfile.readline()
            if size == 0: return
            yield piece
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
          piece = self.rfile.read(min(left, 65536))
          left -= len(piece)
          yield piece

      def answer(self):
        if self.path == "/socket": return self.socket()
        size, digest = 0, hashlib.sha256()
        for piece in self.body():
          size += len(piece)
          digest.update(piece)
        if self.path == "/slow":
          self.send_response(200)
          self.send_header("Transfer-Encoding", "chunked")
          self.end_headers()
          for number in range(5):
            self.wfile.write(b"2\r\n%d\n\r\n" % number)
            self.wfile.flush()
            time.sleep(0.2)
          self.wfile.write(b"0\r\n\r\n")
          return
        text = "%s %s\n%s%d %s\n" % (self.command, self.path, self.headers, size, digest.hexdigest())
        self.send_response(200 if self.path.startswith("/echo") else 404)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(text.encode())

      do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

      def socket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while True:
          first = self.rfile.read(2)
          if len(first) < 2: return
          length = first[1] & 127
          if length == 126: length = struct.unpack(">H", self.rfile.read(2))[0]
          mask = self.rfile.read(4)
          data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(length)))
          head = bytes([first[0]]) + (bytes([length]) if length < 126 else struct.pack(">BH", 126, length))
          self.wfile.write(head + data)
          if first[0] & 15 == 8: return

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
      daemon_threads = True
      allow_reuse_address = True
      request_queue_size = 128

    print("ready", flush=True)
    Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
    """#

  /// A WebSocket client: `HOST PORT [CA]` sends three messages to /socket, prints what comes back.
  public static let webSocketClient = #"""
    import base64, os, socket, ssl, struct, sys

    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
    if len(sys.argv) > 3:
      context = ssl.create_default_context(cafile=sys.argv[3])
      context.check_hostname = False
      connection = context.wrap_socket(connection)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(("GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n" % key).encode())
    file = connection.makefile("rb")
    print(file.readline().decode().strip())
    while file.readline() != b"\r\n": pass
    def send(code, data):
      mask = os.urandom(4)
      length = bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack(">BH", 0x80 | 126, len(data))
      connection.sendall(bytes([0x80 | code]) + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
    def receive():
      first = file.read(2)
      length = first[1]
      if length == 126: length = struct.unpack(">H", file.read(2))[0]
      return file.read(length)
    for text in [b"one", b"x" * 5000, b"three"]:
      send(1, text)
      print("same" if receive() == text else "different")
    send(8, b"\x03\xe8")
    receive()
    print("end" if file.read(1) == b"" else "more")
    """#

  /// An HTTP/2 client that misbehaves: `HOST PORT CA ATTACK`. Prints what the server said at the end: `GOAWAY CODE`,
  /// `closed` or `open`.
  public static let http2Attacker = #"""
    import select, socket, ssl, struct, sys, time

    host, port, ca, attack = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    connection = context.wrap_socket(socket.create_connection((host, port), 10))
    assert connection.selected_alpn_protocol() == "h2"
    def frame(kind, flags, stream, payload=b""):
      return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
    # GET https a / with indexed and literal fields, without Huffman coding.
    request = b"\x82\x87\x84\x41\x01a"
    stream = 1
    def burst():
      global stream
      if attack == "reset":
        stream += 100
        return b"".join(
          frame(1, 5, s, request) + frame(3, 0, s, struct.pack(">I", 8)) for s in range(stream - 100, stream, 2))
      if attack == "continuation": return frame(9, 0, 1, b"\x00\x01a\x01b") * 20
      if attack == "settings": return frame(4, 0, 0) * 100
      if attack == "ping": return frame(6, 0, 0, b"12345678") * 100
      if attack == "empty": return frame(0, 0, 1) * 100
    # One thread reads and writes: OpenSSL does not take two calls of one connection at once.
    connection.setblocking(False)
    outcome, received = "open", b""
    pending = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
    if attack == "continuation": pending += frame(1, 0, 1, request)
    if attack == "empty": pending += frame(1, 4, 1, request)
    def read():
      global outcome, received
      while True:
        piece = connection.recv(65536)
        if not piece: raise ConnectionResetError
        received += piece
        while len(received) >= 9 and len(received) >= 9 + int.from_bytes(received[:3], "big"):
          length = int.from_bytes(received[:3], "big")
          if received[3] == 7: outcome = "GOAWAY %d" % struct.unpack(">I", received[13:17])
          received = received[9 + length:]
    isWritable = True
    end = time.time() + 10
    while time.time() < end:
      select.select([connection], [connection] if isWritable else [], [], 1)
      try: read()
      except (ssl.SSLWantReadError, ssl.SSLWantWriteError): pass
      except OSError:
        if outcome == "open": outcome = "closed"
        break
      if not isWritable: continue
      try:
        pending = pending or burst()
        pending = pending[connection.send(pending):]
      except (ssl.SSLWantReadError, ssl.SSLWantWriteError): pass
      # What came before the reset of a connection that no longer takes anything is still read.
      except OSError: isWritable = False
    print(outcome)
    """#

  /// An HTTP/2 client that asks for PATH and reads it slowly; it prints `begun` after the first bytes, and at the end
  /// the number of bytes, and whether and how GOAWAY came: `HOST PORT CA PATH`.
  public static let http2Reader = #"""
    import socket, ssl, struct, sys, time

    host, port, ca, path = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    connection = context.wrap_socket(socket.create_connection((host, port), 10))
    def frame(kind, flags, stream, payload=b""):
      return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
    fields = b"\x82\x87\x41\x01a\x44" + bytes([len(path)]) + path.encode()
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 5, 1, fields))
    data, size, codes, ended = b"", 0, [], False
    while not ended:
      piece = connection.recv(16384)
      if not piece: break
      data += piece
      while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
        length = int.from_bytes(data[:3], "big")
        kind, flags, payload = data[3], data[4], data[9:9 + length]
        data = data[9 + length:]
        if kind == 7: codes.append(struct.unpack(">I", payload[4:8])[0])
        if kind == 4 and not flags & 1: connection.sendall(frame(4, 1, 0))
        if kind == 0:
          if size == 0: print("begun", flush=True)
          size += length
          if length:
            time.sleep(length / 4e6)
            update = struct.pack(">I", length)
            connection.sendall(frame(8, 0, 0, update) + frame(8, 0, 1, update))
          if flags & 1: ended = True
    print(size, "GOAWAY" if codes and set(codes) == {0} else codes, flush=True)
    """#
}

extension NetworkNamespace {
  /// Runs one of `PythonPrograms` to its end.
  public func python(_ program: String, _ arguments: String..., timeout_s: Double = 30) throws -> CommandResult {
    try run(["python3", "-c", program] + arguments, timeout_s: timeout_s)
  }

  public func startPython(_ program: String, _ arguments: String...) throws -> RunningProcess {
    try start(["python3", "-c", program] + arguments)
  }
}
