/** Two helpers for texts: to cut a text for the peer, and to show a text of the peer. */
import { codeName, MAX_TEXT, printable } from '../../wire/index.js';

/** The longest beginning of a text that fits into TEXT. It has only whole and allowed characters. [IC-5.11] */
export function cutText(text: string): string {
  const bytes = Buffer.from(text.replaceAll('\0', '\uFFFD'));
  // With `stream`, the decoder keeps back a character that is cut in half at the end.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return decoder.decode(bytes.subarray(0, MAX_TEXT), { stream: true });
}

/** A code and its reason, as the message of an error shows them. */
export function saidAs(code: number, reason: string): string {
  return reason === '' ? codeName(code) : `${codeName(code)}, ${printable(reason)}`;
}
