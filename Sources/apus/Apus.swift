import ApusServer

@main
struct Apus {
  static func main() async throws {
    let a = CommandLine.arguments
    var o = ServeOptions(directory: a[1], listen: [ListenAddress(a[2])!], mode: ServeMode(rawValue: a[3])!)
    if a.count > 4 { o.backend = ListenAddress(a[4]) }
    try await Serve.run(o)
  }
}
