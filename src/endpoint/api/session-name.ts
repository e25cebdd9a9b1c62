/** The check of session names. */
import { MAX_NAME } from '../../wire/index.js';
import { unsendableIn } from '../common/bytes.js';
import { optionError } from '../common/errors.js';
import { inspectShort } from '../common/words.js';

/** @internal @throws IC_ERR_OPTION if the wire format cannot carry the name. */
export function checkName(name: string): void {
  const size = typeof name === 'string' ? Buffer.byteLength(name) : 0;
  if (size >= 1 && size <= MAX_NAME && unsendableIn(name) === undefined) return;
  throw optionError(
    `A session's name (in Nest: a pattern) must be a string of 1 to ${MAX_NAME} bytes without U+0000 and halves of ` +
      `surrogate pairs, and is ${inspectShort(name)}.`,
  );
}
