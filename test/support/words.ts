/** Text that must not reach a log unchanged: a hostile peer would send it. */

/** A forged line of Nest's log, both kinds of escape sequences, line ends, and marks of text direction. */
export const HOSTILE =
  'x\n[Nest] 1  - 01/01/2030, 0:00:00 AM     LOG [Audit] admin logged in\r\t\u001b[2J\u009b31m' +
  '\u007f\u0085\u2028\u2029\u202e\u2066\u200e\u200b\ufeff\u0007y';

/** Characters that a line for people must not contain. */
export const INVISIBLE =
  // eslint-disable-next-line no-control-regex -- the test searches for control characters
  /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])/u;
