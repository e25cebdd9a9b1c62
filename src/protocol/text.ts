import { MAX_TEXT } from '../wire/index.js';

/** Cut to what TEXT may hold, and never within a character. [IC-5.11] */
export function cutText(text: string): string {
  const bytes = Buffer.from(text.replaceAll('\0', ''));
  if (bytes.length <= MAX_TEXT) return bytes.toString();
  return new TextDecoder().decode(bytes.subarray(0, MAX_TEXT - 3)).replace(/\uFFFD+$/u, '');
}
