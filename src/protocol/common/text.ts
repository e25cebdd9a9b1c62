/** Words that go to the other side, and words that came from it. */
import { codeName, MAX_TEXT, printable } from '../../wire/index.js';

/** The longest beginning of a text that fits into the field TEXT: whole characters, and none that is not allowed. [IC-5.11] */
export function cutText(text: string): string {
  const bytes = Buffer.from(text.replaceAll('\0', '\uFFFD'));
  // As if more were to come: half a character at the end is kept back.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return decoder.decode(bytes.subarray(0, MAX_TEXT), { stream: true });
}

/** A code and the reason that came with it, as an error's message shows them. */
export function saidAs(code: number, reason: string): string {
  return reason === '' ? codeName(code) : `${codeName(code)}, ${printable(reason)}`;
}
