/** Makes texts of values and errors, fit for a sentence and a log line. */
import { printable, quote } from '../../wire/index.js';

/**
 * @internal Returns the message of an error, fit for a sentence and a log line. Never throws. Any object with a message
 * counts as an error, because `instanceof Error` is false for errors of another realm, such as a test runner's.
 */
export function messageOf(error: unknown): string {
  const { message } = wordsOf(error);
  return message === undefined ? inspectShort(error) : printable(message, MAX_MESSAGE);
}

/**
 * @internal Returns an error's stack for a log, with the stacks of its causes; `undefined` if it has none. Each stack
 * frame is a line, and the error's message is one line.
 */
export function stackOf(error: unknown): string | undefined {
  const stacks: string[] = [];
  let each = error;
  // A chain of causes may be a cycle.
  for (let depth = 0; depth < MAX_CAUSES && isObject(each); depth++) {
    const { message = '', stack } = wordsOf(each);
    if (stack === undefined) break;
    stacks.push(oneStack(stack, message));
    each = 'cause' in each ? each.cause : undefined;
  }
  return stacks.length === 0 ? undefined : stacks.join('\n[cause]: ');
}

/**
 * @internal Escapes the message and the stack of an error of Node, in place, so that they are fit for a log. Node puts
 * text from the other side into some of its errors: a name in a certificate, or a part of invalid JSON.
 */
export function tame(error: unknown): void {
  const { message, stack } = wordsOf(error);
  if (!isObject(error) || message === undefined) return;
  const tamed = printable(message, MAX_MESSAGE);
  if (tamed === message) return;
  const hidden = { configurable: true, writable: true };
  Object.defineProperty(error, 'message', { ...hidden, value: tamed });
  if (stack === undefined) return;
  Object.defineProperty(error, 'stack', { ...hidden, value: oneStack(stack, message) });
}

function oneStack(stack: string, message: string): string {
  const start = stack.indexOf(message);
  const end = start < 0 ? 0 : start + message.length;
  const frames = stack.indexOf('\n    at ', end);
  if (frames < 0) return printable(stack, MAX_MESSAGE);
  const lines = stack.slice(frames + 1).split('\n', MAX_FRAMES);
  return [stack.slice(0, frames), ...lines].map((line) => printable(line, MAX_MESSAGE)).join('\n');
}

/** Reads the message and the stack of any value. A getter of it may throw, and a field may have any type. */
function wordsOf(error: unknown): { message?: string; stack?: string } {
  if (!isObject(error)) return {};
  try {
    return {
      ...('message' in error && { message: String(error.message) }),
      ...('stack' in error && typeof error.stack === 'string' && { stack: error.stack }),
    };
  } catch {
    return {};
  }
}

/** @internal Returns the code of a system error, such as `EADDRINUSE`; undefined if the error has none. */
export function systemCodeOf(error: unknown): unknown {
  return isObject(error) && 'code' in error ? error.code : undefined;
}

/** @internal Returns a short text of a value, for a sentence. Never throws. */
export function inspectShort(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  return printable(isObject(value) ? Object.prototype.toString.call(value) : String(value), 64);
}

/** @internal Returns true if the value is neither primitive nor `null`. Functions do not count. */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** @internal The most characters of an error's message. */
export const MAX_MESSAGE = 4096;
const MAX_CAUSES = 5;
/** The most frames of a stack. Node writes ten by default. */
const MAX_FRAMES = 100;
