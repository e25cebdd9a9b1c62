// Reads and writes big-endian integers in a Buffer. Buffer's own readUInt32BE and writeUInt32BE check their arguments on
// every call, and are several times slower. The functions here check nothing: the caller has checked the length. An octet
// beyond the end would read as zero.

/** Two octets as an integer from 0 to 65 535. */
export function readU16(bytes: Buffer, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/**
 * Four octets as a *signed* 32-bit integer: negative if the top bit is set. `>>> 0` gives the unsigned value.
 */
export function readI32(bytes: Buffer, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** The low 16 bits of `value`. */
export function writeU16(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** The low 32 bits of `value`, signed or unsigned alike. */
export function writeU32(bytes: Buffer, at: number, value: number): void {
  // [IC-1.1]
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
