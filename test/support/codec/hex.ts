/** Octets from hex digits. Blanks between the digits are ignored. */
export function fromHex(hex: string): Buffer {
  const digits = hex.replace(/\s/g, '');
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) throw new Error(`Not hex: ${hex}`);
  return Buffer.from(digits, 'hex');
}
