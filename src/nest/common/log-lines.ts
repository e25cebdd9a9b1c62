/** Lines of Nest's log that may contain words of the other side. */
import type { LoggerService } from '@nestjs/common';
import { inspect } from 'node:util';
import { messageOf, printable, stackOf } from '../../endpoint/index.js';

/** A line of a log, without controls and other invisible characters, and with at most 4096 characters. */
export function lineOf(text: string): string {
  return printable(text, MAX_LINE);
}

/**
 * Logs an error that no caller gets: its message on one line, and then its stack. Nest's own logger would print an `Error`
 * unchanged. Line breaks and escape sequences in its message would then look like lines of the log.
 */
export function logError(logger: LoggerService, error: unknown): void {
  const { message, stack } = partsOf(error);
  if (stack === undefined) logger.error(lineOf(message));
  else logger.error(lineOf(message), stack);
}

/** The line for an error, and its stack, if there is one. */
export function partsOf(error: unknown): { message: string; stack: string | undefined } {
  const stack = stackOf(error);
  return { message: stack === undefined ? describe(error) : messageOf(error), stack };
}

/** The text for a value that has no stack. */
function describe(value: unknown): string {
  const hasMessage = typeof value === 'object' && value !== null && 'message' in value;
  if (hasMessage) return messageOf(value);
  return typeof value === 'string' ? value : inspect(value, { depth: 2 });
}

const MAX_LINE = 4096;
