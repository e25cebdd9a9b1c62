/**
 * Makes text from the peer safe to show in a log line, an error's message or a terminal. All code that shows such text
 * calls one of the two functions here. Fields that programs read keep the text unchanged.
 */

/**
 * Returns the text on one line, without characters that are invisible or that steer a terminal. An escape such as `\n`,
 * `\u001b` or `\u{e0041}` replaces each character of these kinds:
 *
 * - the controls C0 and C1, which include line feed, carriage return, tab and DEL;
 * - line and paragraph separators;
 * - marks of direction, characters of no width, fillers and all others that Unicode defines as invisible;
 * - halves of surrogate pairs, private and unassigned characters.
 *
 * All other characters stay as they are. The backslash stays too, so that a second pass through this function changes
 * nothing. The result has at most `limit` characters (UTF-16 units). If the text was longer, `…` follows.
 */
export function printable(text: string, limit = MAX_PRINTABLE): string {
  return escaped(text, limit, UNPRINTABLE);
}

/**
 * Does the same as {@link printable}, and puts the text between quotation marks. The limit does not count these marks.
 * Quotation marks and backslashes of the text are escaped too, so that a reader sees where the peer's text ends.
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

/** Returns the first `length` UTF-16 units. If that would cut a surrogate pair in half, returns one unit less. */
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

/** Matches a text in which both patterns below find nothing. */
const PLAIN = /^[ !#-[\]-~]*$/;
/** `C`: controls, formats, surrogates, private, unassigned. `Zl`, `Zp`: separators. The last class: invisible characters. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const UNQUOTABLE = /["\\\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
/** Matches an incomplete escape at the end of a text. */
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
