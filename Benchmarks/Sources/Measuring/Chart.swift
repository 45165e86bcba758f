import Foundation

/// A chart as a program for gnuplot, its data in it.
public struct Chart: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    /// One line per server over a logarithmic axis.
    case lines(xLabel: String)
    /// A group of bars per server.
    case bars(names: [String])
  }

  public struct Series: Equatable, Sendable {
    public var title: String
    /// For bars the x is ignored, and the values are those of the names in turn.
    public var points: [(x: Double, y: Double)]

    public static func == (left: Series, right: Series) -> Bool {
      left.title == right.title && left.points.elementsEqual(right.points) { $0 == $1 }
    }
  }

  public var workload: String
  public var fileName: String
  public var title: String
  public var yLabel: String
  public var isLogarithmic = false
  public var kind: Kind
  public var series: [Series]

  /// What gnuplot is given to read.
  ///
  /// - Parameter output: path of the SVG file.
  public func script(output: String) -> String {
    var text = """
      set terminal svg size 860,500 dynamic font "sans-serif,13" background "white"
      set output "\(output)"
      set title "\(title)"
      set ylabel "\(yLabel)"
      set grid ytics lc rgb "#dddddd"
      set border 3 lc rgb "#555555"
      set tics nomirror
      set key outside right top reverse Left samplen 2
      \(isLogarithmic ? "set logscale y\nset format y \"%.0f\"" : "set yrange [0:*]")

      """
    switch kind {
    case .lines(let xLabel): text += lines(xLabel)
    case .bars(let names): text += bars(names)
    }
    return text
  }

  private func lines(_ xLabel: String) -> String {
    let tics = ticLabels(isSize: xLabel.contains("size")).map { "\"\($0.label)\" \(plain($0.x))" }
    var text = "set xlabel \"\(xLabel)\"\nset logscale x\nset xtics (\(tics.joined(separator: ", "))) rotate by -35\n"
    for (index, line) in series.enumerated() {
      text += "$line\(index) << END\n"
      text += line.points.map { "\(plain($0.x)) \($0.y)\n" }.joined() + "END\n"
    }
    let plots = series.enumerated().map { index, line in
      "$line\(index) using 1:2 with linespoints title \"\(line.title)\" \(Self.style(line.title, index))"
    }
    return text + "plot " + plots.joined(separator: ", \\\n  ") + "\n"
  }

  /// Every x has a tic; one that is too near to the one before, on a logarithmic axis, has no label of its own.
  func ticLabels(isSize: Bool) -> [(x: Double, label: String)] {
    let xs = Set(series.flatMap { $0.points.map(\.x) }).sorted()
    guard let first = xs.first, let last = xs.last, last > first else { return xs.map { ($0, plain($0)) } }
    let room = log(last / first) * Self.labelRoom
    var labelled = -Double.infinity
    return xs.map { x in
      guard log(x) - labelled > room else { return (x, "") }
      labelled = log(x)
      return (x, isSize ? byteCount(Int(x)) : plain(x))
    }
  }

  /// What a label needs of the axis.
  private static let labelRoom = 0.05

  private func bars(_ names: [String]) -> String {
    var text = "set style data histograms\nset style histogram clustered gap 1\nset style fill solid 0.9 border -1\n"
    text += "set boxwidth 0.9\nset xtics rotate by -35\n$bars << END\n"
    for server in series {
      text += "\"\(server.title)\" " + server.points.map { "\($0.y)" }.joined(separator: " ") + "\n"
    }
    text += "END\n"
    let colours = ["#8fb4d9", "#1f4e79", "#d99a2b"]
    let plots = names.enumerated().map { index, name in
      "$bars using \(index + 2):xtic(1) title \"\(name)\" lc rgb \"\(colours[index % colours.count])\""
    }
    return text + "plot " + plots.joined(separator: ", \\\n  ") + "\n"
  }

  /// The same server looks the same in every chart; Apus stands out.
  private static func style(_ server: String, _ index: Int) -> String {
    let colours = [
      "nginx": "#009639", "apache": "#7a4a9e", "lighttpd": "#3a87c8", "h2o": "#8a8a8a", "varnish": "#b59a00",
      "apus": "#c8102e", "apus-attach": "#e8703a", "apus-user": "#e8a0a8",
    ]
    let width = server == "apus" ? 3 : 1.5
    return "lw \(width) pt \(index % 13 + 4) ps 0.8 lc rgb \"\(colours[server] ?? "#333333")\""
  }
}
