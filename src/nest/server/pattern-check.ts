/** Refuses patterns that no caller can reach: at start, and not at the first call. */
import { types } from 'node:util';
import { checkName, InterconnectError, messageOf } from '../../endpoint/index.js';
import { describePattern } from '../client/call-errors.js';

/**
 * `route` is Nest's form of the pattern: the name of the session that serves it. `methods` gives the names of the methods with
 * the pattern, if they are known.
 * @throws IC_ERR_OPTION for a pattern whose route is no session's name, or stands for another pattern as well.
 */
export function checkPattern(
  pattern: unknown,
  route: unknown,
  isEvent: boolean,
  methods: () => readonly string[],
): void {
  const reason = flawOf(pattern, route);
  if (reason === undefined) return;
  const decorator = isEvent ? '@EventPattern' : '@MessagePattern';
  const names = methods();
  const where = names.length === 0 ? '' : ` of ${names.join(' and ')}`;
  throw new InterconnectError(
    'IC_ERR_OPTION',
    `${decorator}(${pattern === undefined ? '' : describePattern(pattern)})${where} cannot be served. ${reason}`,
  );
}

function flawOf(pattern: unknown, route: unknown): string | undefined {
  // Nest makes "{}" of each RegExp, so that two of them would be one pattern.
  if (types.isRegExp(pattern)) {
    return 'A RegExp cannot be a pattern, because callers name the pattern itself. Use a string, a number or an object.';
  }
  // A client that sends the pattern `true` opens the session "true".
  const name = typeof route === 'boolean' || typeof route === 'bigint' ? String(route) : route;
  if (isCut(pattern)) {
    return 'Nest cuts objects that are more than 5 deep or have more than 20 keys, so that several patterns would be one.';
  }
  if (typeof name !== 'string') return 'A pattern is a string, a number or an object.';
  try {
    checkName(name);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Whether Nest would leave out a part of the pattern, and put a mark in its place. */
function isCut(pattern: unknown, depth = 0): boolean {
  if (typeof pattern !== 'object' || pattern === null) return false;
  if (depth > MOST_DEPTH) return true;
  const values: unknown[] = Object.values(pattern);
  return values.length > MOST_KEYS || values.some((value) => isCut(value, depth + 1));
}

/** Nest's own limits for a pattern. */
const MOST_DEPTH = 5;
const MOST_KEYS = 20;
