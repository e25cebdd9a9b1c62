/** Checks options and arguments. A wrong one is an IC_ERR_OPTION that names the value and the limit. */
import { optionError } from './errors.js';
import { inspectShort, isObject } from './words.js';

/** @internal Refuses a Map, an array or a string, which would be taken for an object without entries. */
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
