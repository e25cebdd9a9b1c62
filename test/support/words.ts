/** Words that nobody wants in a log: what a hostile peer would say. */

/** A forged line of Nest's log, escape sequences of both kinds, line ends and marks of direction. */
export const HOSTILE =
  'x\n[Nest] 1  - 01/01/2030, 0:00:00 AM     LOG [Audit] admin logged in\r\t\u001b[2J\u009b31m' +
  '\u007f\u0085\u2028\u2029\u202e\u2066\u200e\u200b\ufeff\u0007y';

/** What must not stand in one line that is shown to people. */
export const INVISIBLE =
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])/u;
