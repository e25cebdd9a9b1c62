/** Octets from hex digits; blanks between them are for the reader. */
export function fromHex(hex: string): Buffer {
  const digits = hex.replace(/\s/g, '');
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) throw new Error(`Not hex: ${hex}`);
  return Buffer.from(digits, 'hex');
}
