package io.rund.kvm.virtio.fs;

/**
 * The requests that are served, and what the wire owes for each (include/uapi/linux/fuse.h): the
 * size of the fixed arguments, what follows them, and the room that the answer needs. Whatever is
 * not listed here is answered with ENOSYS, which the guest's kernel remembers or works around.
 */
enum Opcode {
  LOOKUP(1, 0, Tail.TEXT, Wire.ENTRY_OUT),
  FORGET(2, 8, Tail.NONE, Opcode.NO_ANSWER),
  GETATTR(3, 16, Tail.NONE, Wire.ATTR_OUT),
  SETATTR(4, 88, Tail.NONE, Wire.ATTR_OUT),
  READLINK(5, 0, Tail.NONE, 0),
  SYMLINK(6, 0, Tail.TWO_TEXTS, Wire.ENTRY_OUT),
  MKNOD(8, 16, Tail.TEXT, Wire.ENTRY_OUT),
  MKDIR(9, 8, Tail.TEXT, Wire.ENTRY_OUT),
  UNLINK(10, 0, Tail.TEXT, 0),
  RMDIR(11, 0, Tail.TEXT, 0),
  RENAME(12, 8, Tail.TWO_TEXTS, 0),
  LINK(13, 8, Tail.TEXT, Wire.ENTRY_OUT),
  OPEN(14, 8, Tail.NONE, Wire.OPEN_OUT),
  READ(15, 40, Tail.NONE, 0),
  WRITE(16, 40, Tail.DATA, Wire.WRITE_OUT),
  STATFS(17, 0, Tail.NONE, Wire.STATFS_OUT),
  RELEASE(18, 24, Tail.NONE, 0),
  FSYNC(20, 16, Tail.NONE, 0),
  SETXATTR(21, 8, Tail.TEXT_AND_VALUE, 0),
  GETXATTR(22, 8, Tail.TEXT, 0),
  LISTXATTR(23, 8, Tail.NONE, 0),
  REMOVEXATTR(24, 0, Tail.TEXT, 0),
  FLUSH(25, 24, Tail.NONE, 0),
  INIT(26, 16, Tail.ANY, Wire.INIT_OUT),
  OPENDIR(27, 8, Tail.NONE, Wire.OPEN_OUT),
  READDIR(28, 40, Tail.NONE, 0),
  RELEASEDIR(29, 24, Tail.NONE, 0),
  FSYNCDIR(30, 16, Tail.NONE, 0),
  CREATE(35, 16, Tail.TEXT, Wire.ENTRY_OUT + Wire.OPEN_OUT),
  INTERRUPT(36, 8, Tail.NONE, Opcode.NO_ANSWER),
  DESTROY(38, 0, Tail.NONE, 0),
  BATCH_FORGET(42, 8, Tail.ANY, Opcode.NO_ANSWER),
  FALLOCATE(43, 32, Tail.NONE, 0),
  READDIRPLUS(44, 40, Tail.NONE, 0),
  RENAME2(45, 16, Tail.TWO_TEXTS, 0),
  LSEEK(46, 24, Tail.NONE, Wire.LSEEK_OUT),
  COPY_FILE_RANGE(47, 56, Tail.NONE, Wire.WRITE_OUT),
  SYNCFS(50, 8, Tail.NONE, 0),
  TMPFILE(51, 16, Tail.TEXT, Wire.ENTRY_OUT + Wire.OPEN_OUT),
  STATX(52, 24, Tail.NONE, Wire.STATX_OUT);

  /** What comes after the fixed arguments. */
  enum Tail {
    NONE,
    /** One text that ends in the request's last byte, which is zero. */
    TEXT,
    /** Two of these. */
    TWO_TEXTS,
    /** A text, then bytes whose number the arguments tell. */
    TEXT_AND_VALUE,
    /** Bytes that stay in guest memory. */
    DATA,
    /** What the operation itself checks. */
    ANY
  }

  private static final int NO_ANSWER = -1;
  private static final Opcode[] BY_NUMBER = new Opcode[64];

  static {
    for (Opcode opcode : values()) {
      BY_NUMBER[opcode.number] = opcode;
    }
  }

  private final int number;
  private final int arguments;
  private final Tail tail;
  private final int answer;

  Opcode(int number, int arguments, Tail tail, int answer) {
    this.number = number;
    this.arguments = arguments;
    this.tail = tail;
    this.answer = answer;
  }

  /** The request of that number, or null if it is not served. */
  static Opcode of(int number) {
    return number >= 0 && number < BY_NUMBER.length ? BY_NUMBER[number] : null;
  }

  /** Bytes of the fixed arguments. */
  int arguments() {
    return arguments;
  }

  Tail tail() {
    return tail;
  }

  /** Whether the guest waits for an answer. */
  boolean isAnswered() {
    return answer != NO_ANSWER;
  }

  /** Bytes, after the header, of the part of an answer that is always there. */
  int answer() {
    return Math.max(answer, 0);
  }
}
