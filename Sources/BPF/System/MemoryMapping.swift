import Glibc

/// Pages of a map that this process shares with the kernel; unmapped when their owner goes.
struct MemoryMapping: ~Copyable {
  let base: UnsafeMutableRawPointer
  let byteCount: Int

  static var pageSize: Int { sysconf(Int32(_SC_PAGESIZE)) }

  init(_ descriptor: Descriptor, offset: Int, byteCount: Int, writable: Bool) throws(BPFError) {
    let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
    let address = mmap(nil, byteCount, protection, MAP_SHARED, descriptor.rawValue, offset)
    guard let address, address != MAP_FAILED else { throw .failed("mmap", errno: errno) }
    base = address
    self.byteCount = byteCount
  }

  deinit {
    munmap(base, byteCount)
  }
}
