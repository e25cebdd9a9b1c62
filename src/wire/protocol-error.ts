/**
 * The peer broke the wire protocol, or this side was about to.
 *
 * `message` is a full sentence with the numbers in it. It may be shown to the peer and logged, so
 * it never contains payload octets or tokens, and text that came from the peer only through {@link
 * quote}.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  /** What to tell the peer in CLOSE; one of `Code`. [IC-1.3] */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Makes text from a peer fit for a log line: quoted, on one line, nothing that steers a terminal,
 * at most `limit` characters.
 */
export function quote(text: string, limit = 64): string {
  // The slice bounds the work before it bounds the output: a hostile text may be long.
  const shown = text.length > limit ? `${text.slice(0, limit)}…` : text;
  // [IC-5.12]
  return `"${shown.replace(UNPRINTABLE, escapeCharacter)}"`;
}

/**
 * The quote's own marks, and what is invisible, breaks the line, reorders it or starts an escape
 * sequence.
 */
const UNPRINTABLE = /["\\\p{C}\p{Zl}\p{Zp}]/gu;

function escapeCharacter(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
