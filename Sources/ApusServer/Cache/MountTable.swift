import Glibc

/// What /proc/self/mountinfo (proc_pid_mountinfo(5)) says of file systems.
enum MountTable {
  /// Types whose files change without this kernel writing them, so that inotify has nothing to tell.
  static let untoldTypes: Set<Substring> = [
    "9p", "afs", "ceph", "cifs", "fuse", "fuseblk", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "proc", "smb3", "sysfs",
    "vboxsf", "virtiofs",
  ]

  /// Whether the file system of the directory is one of those. Where the table does not tell (btrfs gives each
  /// subvolume a device number of its own), it is taken for an ordinary one.
  static func changesUntold(at directory: String) -> Bool {
    var status = stat()
    guard stat(directory, &status) == 0, let file = fopen("/proc/self/mountinfo", "re") else { return false }
    defer { fclose(file) }
    let device = "\(major(status.st_dev)):\(minor(status.st_dev))"
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) > 0 {
      guard let type = type(inLine: String(cString: line!), device: device) else { continue }
      return untoldTypes.contains(type.split(separator: ".", maxSplits: 1)[0])
    }
    return false
  }

  /// The type in a line of the device: `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`.
  static func type(inLine line: String, device: String) -> Substring? {
    let fields = line.split(separator: " ")
    guard fields.count > 2, fields[2] == device, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count
    else { return nil }
    return fields[dash + 1]
  }

  // The macros of sys/sysmacros.h (glibc's 64-bit layout of dev_t).
  private static func major(_ device: dev_t) -> dev_t { (device >> 8) & 0xfff | (device >> 32) & ~0xfff }
  private static func minor(_ device: dev_t) -> dev_t { device & 0xff | (device >> 12) & ~0xff }
}
