/** Checks of the wire codes that an application gives, and of the reasons beside them. */
import { codeName, isApplicationCode } from '../../wire/index.js';
import { unsendableIn } from './bytes.js';
import { optionError } from './errors.js';
import { inspectShort } from './words.js';

/** `where`: the caller. @throws IC_ERR_OPTION if the code is neither one of `allowed` nor a code of the application. */
export function checkCode(code: number, allowed: readonly number[], where: string): void {
  // [IC-13.2]
  if (isApplicationCode(code) || allowed.includes(code)) return;
  const names = allowed.map((each) => `Code.${codeName(each)}`).join(', ');
  throw optionError(
    `${where} takes ${names} or a code of your own from 0x8000 to 0xffff, and got ${inspectShort(code)}.`,
  );
}

/** Returns the reason. `limit`: in bytes. @throws IC_ERR_OPTION if the reason is too long or has illegal characters. */
export function checkReason(reason: string, limit: number): string {
  if (typeof reason !== 'string')
    throw optionError(`A reason must be a string, and is ${inspectShort(reason)}.`);
  const size = Buffer.byteLength(reason);
  if (size > limit || unsendableIn(reason) !== undefined) {
    throw optionError(
      `A reason of ${size} bytes must have at most ${limit}, without U+0000 and halves of surrogate pairs. Put the rest into the data.`,
    );
  }
  return reason;
}
