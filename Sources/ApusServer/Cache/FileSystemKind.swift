import CLinux
import Glibc

/// What can be known about changes of the files of a file system.
///
/// inotify tells of what this kernel does to them, through the very file system. So only types are trusted to tell
/// that are known to change in no other way; whatever is not known is looked at again (`Sweep`).
enum FileSystemKind: Equatable {
  /// Every change is this kernel's own: inotify(7) tells.
  case local
  /// There may be another way to the files, or the type is unknown: inotify tells some changes, looking the others.
  case layered
  /// Others change the files, and a look may have to wait for them: only looking tells, and it may hang.
  case remote
  /// Files the kernel makes up: not even their times tell of a change.
  case synthetic

  /// statfs(2) of a path; `nil` and `errno` where that fails.
  init?(path: String) {
    var status = statfs()
    guard statfs(path, &status) == 0 else { return nil }
    self.init(type: UInt32(truncatingIfNeeded: status.f_type))
  }

  /// fstatfs(2); what cannot be asked is taken for remote.
  init(descriptor: Int32) {
    var status = statfs()
    guard fstatfs(descriptor, &status) == 0 else {
      self = .remote
      return
    }
    self.init(type: UInt32(truncatingIfNeeded: status.f_type))
  }

  /// - Parameter type: `f_type` of statfs(2), from include/uapi/linux/magic.h and the file systems' own headers.
  init(type: UInt32) {
    if Self.localTypes.contains(type) {
      self = .local
    } else if Self.remoteTypes.contains(type) {
      self = .remote
    } else {
      self = Self.syntheticTypes.contains(type) ? .synthetic : .layered
    }
  }

  /// ext2/3/4, xfs, btrfs, tmpfs, ramfs, f2fs, bcachefs, zfs, jfs, nilfs, reiserfs, vfat, exfat, ntfs3, hfs+, and those
  /// that never change: squashfs, erofs, cramfs, iso9660, udf.
  private static let localTypes: Set<UInt32> = [
    0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x8584_58f6, 0xf2f5_2010, 0xca45_1a4e, 0x2fc1_2fc1, 0x3153_464a,
    0x3434, 0x5265_4973, 0x4d44, 0x2011_bab0, 0x7366_746e, 0x482b, 0x7371_7368, 0xe0f5_e1e2, 0x28cd_3d45, 0x9660,
    0x1501_3346,
  ]

  /// nfs, smb, cifs, smb2, ceph, afs (two), coda, 9p, fuse and virtiofs, gfs2, ocfs2, lustre, vboxsf; autofs, which
  /// mounts such a one when it is looked at.
  private static let remoteTypes: Set<UInt32> = [
    0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400, 0x5346_414f, 0x6b41_4653, 0x7375_7245, 0x0102_1997,
    0x6573_5546, 0x0116_1970, 0x7461_636f, 0x0bd0_0bd0, 0x786f_4256, 0x0187,
  ]

  /// proc, sysfs, debugfs, tracefs, securityfs, selinuxfs, cgroup, cgroup2, bpf, devpts, pstore, configfs, binfmt_misc,
  /// mqueue, hugetlbfs, efivarfs, fusectl.
  private static let syntheticTypes: Set<UInt32> = [
    0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0xf97c_ff8c, 0x0027_e0eb, 0x6367_7270, 0xcafe_4a11,
    0x1cd1, 0x6165_676c, 0x6265_6570, 0x4249_4e4d, 0x1980_0202, 0x9584_58f6, 0xde5e_81e4, 0x6573_5543,
  ]
}
