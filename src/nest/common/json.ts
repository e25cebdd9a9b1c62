/**
 * Reads JSON that the other side has sent. A short text can keep `JSON.parse` busy for seconds, and take a hundred times its
 * size of memory. So the octets are looked through once before they are parsed: their values and their depth are limited.
 */
import { isUtf8 } from 'node:buffer';
import { inspectShort, optionError, tame } from '../../endpoint/index.js';

/** The limits of JSON that this side reads. */
export interface InterconnectJsonOptions {
  /** The most objects and arrays within each other, 1 … 1000. Default 64. */
  maxJsonDepth?: number | undefined;
  /**
   * The most values in one payload or item, 1 … 2³¹ − 1. Default 1,000,000. Objects, arrays and their members are values. An
   * empty object or array counts twice. So an array of 100,000 objects with 8 members has 900,001.
   */
  maxJsonValues?: number | undefined;
}

/** The limits, checked and with defaults. */
export interface JsonLimits {
  readonly depth: number;
  readonly values: number;
}

/** @throws IC_ERR_OPTION naming the option, its value and its range. */
export function jsonLimitsOf({ maxJsonDepth, maxJsonValues }: InterconnectJsonOptions): JsonLimits {
  return {
    depth: checked('maxJsonDepth', maxJsonDepth, DEFAULT_DEPTH, MOST_DEPTH),
    values: checked('maxJsonValues', maxJsonValues, DEFAULT_VALUES, MOST_VALUES),
  };
}

function checked(name: string, value: unknown, fallback: number, most: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) {
    return value;
  }
  throw optionError(`${name} must be an integer from 1 to ${most}, and is ${inspectShort(value)}.`);
}

/** @throws a TypeError that names the limit and the remedy, for a payload that is not JSON or that exceeds a limit. */
export function readJson(payload: Buffer, limits: JsonLimits): unknown {
  const text = checkedText(payload, limits);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The message of that error quotes the payload.
    tame(cause);
    throw new TypeError('The payload is not JSON. Set the same encoding on both sides.', { cause });
  }
  if (mayNamePrototype(text) && namesPrototype(value)) {
    throw new TypeError(
      'The JSON has an object with the key "__proto__". Such a key would change the prototype of an object that the value is ' +
        'copied to. Give the key another name.',
    );
  }
  return value;
}

/**
 * The octets as text, after the look at their limits.
 * @throws a TypeError if they are not UTF-8, or if their JSON exceeds a limit.
 */
export function checkedText(payload: Buffer, limits: JsonLimits): string {
  if (!isUtf8(payload)) {
    throw new TypeError('The payload is not UTF-8, so it is not JSON. Encode the text as UTF-8.');
  }
  // A text cannot be deeper than it is long.
  if (payload.length > Math.min(limits.depth, limits.values)) checkSize(payload, limits);
  return payload.toString('utf8');
}

/**
 * Counts values and depth. In valid JSON, each value but the first of an object or array follows a comma, and the first
 * follows the bracket. Invalid JSON may be counted wrongly, and is refused by `JSON.parse`.
 */
function checkSize(payload: Buffer, limits: JsonLimits): void {
  const { length } = payload;
  let depth = 0;
  let values = 1;
  for (let at = 0; at < length; at++) {
    const octet = payload[at];
    if (octet === QUOTE) {
      for (at += 1; at < length && payload[at] !== QUOTE; at++) {
        if (payload[at] === BACKSLASH) at += 1;
      }
    } else if (octet === COMMA) {
      values += 1;
    } else if (octet === OPEN_ARRAY || octet === OPEN_OBJECT) {
      values += 1;
      depth += 1;
      if (depth > limits.depth) throw tooDeep(limits);
    } else if (octet === CLOSE_ARRAY || octet === CLOSE_OBJECT) {
      depth -= 1;
    }
    if (values > limits.values) throw tooMany(limits);
  }
}

function tooDeep({ depth }: JsonLimits): TypeError {
  return new TypeError(
    `The JSON has objects and arrays more than ${depth} deep, which is the limit of maxJsonDepth at the side that reads it. ` +
      'Send a flatter value, or raise maxJsonDepth there.',
  );
}

function tooMany({ values }: JsonLimits): TypeError {
  return new TypeError(
    `The JSON has more than ${values} values, which is the limit of maxJsonValues at the side that reads it. Send a stream ` +
      'with several values, or raise maxJsonValues there.',
  );
}

/** Whether the text can have the key `__proto__`: as it is, or with an escaped letter. Fast, and right in one direction only. */
function mayNamePrototype(text: string): boolean {
  return text.includes('__proto__') || (text.includes('\\u00') && ESCAPED_LETTER.test(text));
}

/** Whether an object in the value has the own key `__proto__`. */
function namesPrototype(value: unknown): boolean {
  const found: unknown[] = [value];
  while (found.length > 0) {
    const each = found.pop();
    if (typeof each !== 'object' || each === null) continue;
    if (Object.hasOwn(each, '__proto__')) return true;
    for (const member of Object.values(each)) found.push(member);
  }
  return false;
}

const DEFAULT_DEPTH = 64;
const DEFAULT_VALUES = 1_000_000;
const MOST_DEPTH = 1000;
const MOST_VALUES = 2 ** 31 - 1;

/** The letters of `__proto__` are in this range. Programs that write JSON have no reason to escape them. */
const ESCAPED_LETTER = /\\u00[567]/;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
