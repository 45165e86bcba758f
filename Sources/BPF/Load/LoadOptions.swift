/// What a loader decides about an object.
public struct LoadOptions: Sendable {
  /// A map's size where it differs from the definition.
  public struct MapSize: Sendable, Equatable {
    /// In bytes.
    public var valueSize: UInt32?
    public var maxEntries: UInt32?

    public init(valueSize: UInt32? = nil, maxEntries: UInt32? = nil) {
      self.valueSize = valueSize
      self.maxEntries = maxEntries
    }
  }

  /// New values of constants (variables in .rodata…), by identifier. They are written before the verifier looks, which
  /// then knows them: code they switch off is not even verified. The size must be the constant's.
  public var constants: [String: [UInt8]]
  /// Sizes by a map's identifier.
  public var mapSizes: [String: MapSize]

  public init(constants: [String: [UInt8]] = [:], mapSizes: [String: MapSize] = [:]) {
    self.constants = constants
    self.mapSizes = mapSizes
  }

  /// Sets a constant to the bytes of `value`, such as `UInt32(4095)`.
  public mutating func setConstant<Value: BitwiseCopyable>(_ name: String, to value: Value) {
    constants[name] = withUnsafeBytes(of: value) { Array($0) }
  }
}
