/** Words of a peer that forge lines of a log, and how the suite recognises them where they are shown. */

/** Characters that draw, delete or reorder lines: controls, marks of format, separators. Line feeds end lines. */
export const RAW = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
/** A line that only `FORGERY` can have brought about. */
export const FORGED = /^\[Nest\] 1 LOG FORGED/m;
/** A text that draws a line of its own, and hides the rest. */
export const FORGERY = 'x\r\n[Nest] 1 LOG FORGED\u001b[2J\u009b31m\u2028\u202eabc\u2066';
