/// Clients in Python, run with the packages of Tests/python-packages.txt.
enum ClientPrograms {
  /// `requests|httpx ORIGIN CA ROOT DOWNLOAD PATH...`: loads each path, validates it by both validators, and loads the
  /// download in two parts.
  static let python = #"""
    import asyncio, concurrent.futures, hashlib, sys

    library, origin, ca, root, download = sys.argv[1:6]
    paths = sys.argv[6:]
    if library == "requests":
      import requests
      def make():
        session = requests.Session()
        session.verify = ca
        # A bundle of certificates that the environment names would take its place.
        session.trust_env = False
        return session
      def version(response): return {10: "HTTP/1.0", 11: "HTTP/1.1"}[response.raw.version]
      def stream(path, fields, take):
        with client.get(origin + path, headers=fields, timeout=20, stream=True) as response:
          assert response.status_code == (206 if "Range" in fields else 200), response.status_code
          for piece in response.iter_content(1 << 18):
            if not take(piece): return
    else:
      import httpx, ssl
      context = ssl.create_default_context(cafile=ca)
      def make(): return httpx.Client(http2=True, verify=context, timeout=20, trust_env=False)
      def version(response): return response.http_version
      def stream(path, fields, take):
        with client.stream("GET", origin + path, headers=fields) as response:
          assert response.status_code == (206 if "Range" in fields else 200), response.status_code
          for piece in response.iter_bytes(1 << 18):
            if not take(piece): return

    client = make()
    # What is asked for a path, and what is to be checked of each answer.
    def steps(path):
      expected = open(root + path, "rb").read()
      first = yield path, {}
      assert first.status_code == 200 and first.content == expected, (path, first.status_code)
      same = yield path, {"If-None-Match": first.headers["ETag"]}
      assert same.status_code == 304 and same.content == b"", (path, same.status_code)
      same = yield path, {"If-Modified-Since": first.headers["Last-Modified"]}
      assert same.status_code == 304, (path, same.status_code)
      none = yield path + ".none", {}
      assert none.status_code == 404, (path, none.status_code)
      versions.add(version(first))

    versions = set()
    if library == "requests":
      def load(path):
        asked = steps(path)
        response = None
        try:
          while True:
            target, fields = asked.send(response)
            response = client.get(origin + target, headers=fields, timeout=20)
        except StopIteration: pass
      with concurrent.futures.ThreadPoolExecutor(4) as pool: list(pool.map(load, paths))
    else:
      # Not threads: they write the requests of an HTTP/2 connection out of order, which servers refuse.
      async def load(client, path):
        asked = steps(path)
        response = None
        try:
          while True:
            target, fields = asked.send(response)
            response = await client.get(origin + target, headers=fields)
        except StopIteration: pass
      async def load_all():
        async with httpx.AsyncClient(http2=True, verify=context, timeout=20, trust_env=False) as client:
          await asyncio.gather(*(load(client, path) for path in paths))
      asyncio.run(load_all())

    # A client that stops in the middle, and takes the rest on another day.
    digest, size = hashlib.sha256(), 0
    def take(piece):
      global size
      digest.update(piece)
      size += len(piece)
      return ranged or size < 60_000_000
    ranged = False
    stream(download, {}, take)
    ranged = True
    # On a connection of its own: httpx neither resets nor drains a stream it gives up, and with it loses the
    # connection's window for good, whatever the server.
    client = make()
    stream(download, {"Range": "bytes=%d-" % size}, take)
    with open(root + download, "rb") as file:
      assert digest.hexdigest() == hashlib.file_digest(file, "sha256").hexdigest(), size
    print("all as they are,", *versions)
    """#

  /// `ORIGIN CASES`: has REDbot look at each of a JSON array of objects with `name`, `target`, `method` and `fields`, and
  /// prints a JSON object a line: `name`, `status`, what it found wrong, by the names of its notes, and what it found
  /// good.
  static let redbot = #"""
    import configparser, json, sys
    import thor
    from redbot.resource import HttpResource

    parser = configparser.ConfigParser()
    parser.read_dict({"redbot": {"enable_local_access": "True"}})
    # No connection is used twice: one that the kernel part has handed over is not its own any more.
    HttpResource.client.idle_timeout = 0
    cases = json.loads(sys.argv[2])
    waiting = len(cases)

    def report(case, resource):
      # Those of the requests it makes by itself as well: for a range, for a 304, without a coding.
      responses = [resource.response] + [check.response for check in resource.subreqs.values()]
      notes = [note for response in responses for first in response.notes for note in [first, *first.subnotes]]
      by_level = lambda *levels: sorted({type(note).__name__ for note in notes if note.level.name in levels})
      if resource.fetch_error: raise SystemExit("%s: %s" % (case, resource.fetch_error))
      print(json.dumps({"name": case["name"], "status": int(resource.response.status_code),
        "problems": by_level("BAD", "WARN"), "good": by_level("GOOD")}), flush=True)

    def look(case):
      resource = HttpResource(parser["redbot"])
      resource.set_request(sys.argv[1] + case["target"], method=case["method"], headers=list(case["fields"].items()))
      @thor.events.on(resource)
      def check_done():
        global waiting
        report(case, resource)
        waiting -= 1
        if waiting == 0: thor.stop()
      resource.check()

    for case in cases: look(case)
    thor.run()
    """#
}
