/** Checks of options and arguments. A wrong value leads to an IC_ERR_OPTION that names the value and the limit. */
import { optionError } from './errors.js';
import { inspectShort, isObject } from './words.js';

/** @internal @throws IC_ERR_OPTION if the value is no plain object. Code would read no entries from a Map or a string. */
export function checkObject(name: string, value: unknown): void {
  const entries = isObject(value) && !Array.isArray(value) && !(value instanceof Map);
  if (!entries) throw optionError(`${name} must be an object, and is ${inspectShort(value)}.`);
}

/** @internal Returns the value. @throws IC_ERR_OPTION naming the option, its value and its range. */
export function checkInteger(name: string, value: unknown, from: number, to: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to)
    return value;
  throw optionError(
    `${name} must be an integer from ${from} to ${to}, and is ${inspectShort(value)}.`,
  );
}
