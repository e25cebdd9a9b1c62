/**
 * Makes the other side's words fit for a log line, an error's message and a terminal. Every place that shows such words
 * calls one of the two functions here. Fields that programs read keep the words unchanged.
 */

/**
 * The text on one line, without anything that is invisible or steers a terminal. Each character of these kinds is
 * replaced by its escape, such as `\n`, `\u001b` or `\u{e0041}`:
 *
 * - controls, C0 and C1, with line feed, carriage return, tab and DEL;
 * - line and paragraph separators;
 * - marks of direction, characters of no width, fillers and all others that are invisible by definition;
 * - halves of surrogate pairs, private and unassigned characters.
 *
 * All other characters stay as they are, the backslash too: a text that went through this function twice is the same
 * as after the first time. The result has at most `limit` characters (UTF-16 units); `…` follows if something was left
 * out.
 */
export function printable(text: string, limit = MAX_PRINTABLE): string {
  return escaped(text, limit, UNPRINTABLE);
}

/**
 * The same between quotation marks, which are not counted. Within them a quotation mark and a backslash are escaped
 * too, so that the reader sees where the other side's words end.
 */
export function quote(text: string, limit = 64): string {
  return `"${escaped(text, limit, UNQUOTABLE)}"`;
}

function escaped(text: string, limit: number, pattern: RegExp): string {
  // The first cut bounds the work: a hostile text may be long.
  const head = cut(text, limit);
  // [IC-5.12]
  // Nearly all texts are plain, and this test is cheap.
  const whole = PLAIN.test(head) ? head : head.replace(pattern, escapeOf);
  const shown = whole.length > limit ? cut(whole, limit).replace(BROKEN_ESCAPE, '') : whole;
  return head.length < text.length || shown.length < whole.length ? `${shown}…` : shown;
}

/** The first `length` units, or one less if the last would be the first half of a surrogate pair. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}

function escapeOf(character: string): string {
  const short = SHORT_ESCAPES.get(character);
  if (short !== undefined) return short;
  const hex = (character.codePointAt(0) ?? 0).toString(16);
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`;
}

/** Text that every pattern below leaves alone. */
const PLAIN = /^[ !#-[\]-~]*$/;
/** `C`: controls, formats, surrogates, private, unassigned. `Zl`, `Zp`: separators. The last: invisible by definition. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const UNQUOTABLE = /["\\\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
/** The beginning of an escape at the end of a text. */
const BROKEN_ESCAPE = /\\(?:u[0-9a-f]{0,3}|u\{[0-9a-f]*)?$/;
const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['"', '\\"'],
  ['\\', '\\\\'],
]);
/** The most octets of a TEXT. */
const MAX_PRINTABLE = 1024;
