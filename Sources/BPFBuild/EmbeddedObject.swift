import Foundation

/// An eBPF object as a Swift source file. The bytes are a Base64 literal: the compiler takes a long string in
/// no time, a long array of integers only slowly.
struct EmbeddedObject {
  let name: String
  let bytes: Data

  var source: String {
    """
    // Made by BPFBuild from \(name); changes are overwritten.
    import struct Foundation.Data

    /// The eBPF object file of \(name).
    public enum \(name)Image {
      public static let bytes: [UInt8] = Array(Data(base64Encoded: base64)!)
      private static let base64 = "\(bytes.base64EncodedString())"
    }

    """
  }
}
