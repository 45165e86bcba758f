import Logging
protocol AdminHandler: Sendable {}
struct AdminServer { init(path: String, handler: any AdminHandler, logger: Logger) throws {}; func start() {}; func stop() {} }
enum AdminSocket { static let defaultPath = "/tmp/x.sock" }
