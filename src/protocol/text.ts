import { MAX_TEXT } from '../wire/index.js';

/** What of any text fits TEXT: whole characters, and none that is not allowed. [IC-5.11] */
export function cutText(text: string): string {
  const bytes = Buffer.from(text.replaceAll('\0', '\uFFFD'));
  // As if more were to come: half a character at the end is kept back.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return decoder.decode(bytes.subarray(0, MAX_TEXT), { stream: true });
}
