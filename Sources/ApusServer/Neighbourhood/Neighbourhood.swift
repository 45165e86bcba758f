import BPF

/// What else on this machine has to do with packets to Apus, and what an operator should know of it.
public struct Neighbourhood: Sendable {
  /// Something worth a warning, and what can be done about it.
  public struct Remark: Sendable, Equatable {
    public var text: String
    public var remedy: String?

    static func multipath(_ address: ListenAddress) -> Remark {
      Remark(
        text: "the server at \(address) listens with MPTCP, and such a listener takes no connections over",
        remedy: "let it listen with plain TCP (programs in Go: GODEBUG=multipathtcp=0)")
    }
  }

  var filter = PacketFilter()
  var listeners: [ListeningSocket] = []
  /// Programs and filters at the interfaces' ingress that are not of this process, in the order they run.
  var programs: [(interface: String, programs: [AttachedProgram])] = []
  /// What could not be found out.
  var unknown: [String] = []

  init() {}

  /// Looks; before the kernel part is attached, or all programs are taken for others.
  ///
  /// - Parameter interfaces: names; those that are not there are left out.
  public init(interfaces: [String]) {
    do { filter = try PacketFilter.read() } catch { unknown.append("the rules of nftables: \(error)") }
    do { listeners = try ListeningSocket.all() } catch { unknown.append("the listeners: \(error)") }
    for interface in InterfaceAddress.all() where interfaces.contains(interface.interface) {
      guard !programs.contains(where: { $0.interface == interface.interface }) else { continue }
      let found = try? AttachedProgram.list(interfaceIndex: interface.index)
      programs.append((interface.interface, found ?? []))
    }
  }

  /// Names of the interfaces the kernel part is attached to if none are named.
  public static func interfaces(of listen: [ListenAddress]) -> [String] {
    InterfaceAddress.covering(listen, among: InterfaceAddress.all()).map(\.interface)
  }

  /// What is worth saying to somebody who lets Apus answer at these addresses.
  public func remarks(listen: [ListenAddress], backend: ListenAddress?) -> [Remark] {
    let ports = Set(listen.map(\.port)).sorted()
    return multipathRemarks(backend.map { [$0] } ?? listen) + ports.flatMap(redirections)
      + ports.flatMap(refusals) + defaultRemarks + programs.flatMap(Self.remarks)
      + unknown.map { Remark(text: "unknown: \($0)", remedy: nil) }
  }

  /// The servers that would have to take connections over cannot.
  private func multipathRemarks(_ behind: [ListenAddress]) -> [Remark] {
    behind.filter { ListeningSocket.chosen(for: $0, among: listeners)?.isMultipath == true }.map(Remark.multipath)
  }

  private func redirections(_ port: UInt16) -> [Remark] {
    chains(port, .redirects).map { chain in
      Remark(
        text: "nftables chain \(chain) redirects packets to port \(port); the kernel part answers them before",
        remedy: "let Apus listen at addresses those packets are not for (--listen, --interface)")
    }
  }

  private func refusals(_ port: UInt16) -> [Remark] {
    chains(port, .refuses).map { chain in
      Remark(
        text: "nftables chain \(chain) refuses packets to port \(port): that stops hand-overs, not hits",
        remedy: Self.listsRemedy)
    }
  }

  private var defaultRemarks: [Remark] {
    filter.chains.filter { $0.dropsByDefault && ($0.hook == .input || $0.hook == .prerouting) }.map { chain in
      Remark(
        text: "nftables chain \(chain.name) drops what it does not accept: that stops hand-overs, not hits",
        remedy: Self.listsRemedy)
    }
  }

  private static let listsRemedy = "--allow PREFIX and --deny PREFIX stand before hits as well"

  /// Names of chains with such rules, each once.
  private func chains(_ port: UInt16, _ effect: FilterRule.Effect) -> [String] {
    var names: [String] = []
    for rule in filter.rules where rule.effect == effect && rule.concerns(port) && !names.contains(rule.chain) {
      let hook = filter.chains.first { $0.name == rule.chain }?.hook
      // Rules of a chain without a hook are reached from others.
      if hook == nil || hook == .prerouting || hook == .input { names.append(rule.chain) }
    }
    return names
  }

  private static func remarks(_ interface: String, _ programs: [AttachedProgram]) -> [Remark] {
    func names(_ mechanism: Link.Mechanism) -> String {
      programs.filter { $0.mechanism == mechanism }.map { $0.name.isEmpty ? "(no name)" : $0.name }
        .joined(separator: ", ")
    }
    var remarks: [Remark] = []
    if programs.contains(where: { $0.mechanism == .tcx }) {
      remarks.append(
        Remark(
          text: "\(interface): tcx programs see packets before the kernel part: \(names(.tcx))",
          remedy: "what they drop or take Apus does not see; those attached later see only what Apus leaves"))
    }
    if programs.contains(where: { $0.mechanism == .clsact }) {
      remarks.append(
        Remark(
          text: "\(interface): clsact filters see packets after the kernel part: \(names(.clsact))",
          remedy: "they see no packet that is answered; where the kernel has no tcx, they come in order of priority"))
    }
    return remarks
  }
}
