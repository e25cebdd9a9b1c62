import { Logger } from '@nestjs/common';
import type { LoggerService } from '@nestjs/common';

type Level = 'log' | 'error' | 'warn' | 'debug';

/** Replaces Nest's console logger and keeps each line, so that tests can read the log. */
export class LogRecorder implements LoggerService {
  private readonly lines: { level: Level; text: string; rest: string[] }[] = [];

  /** Installs a recorder. All loggers of this process write to it until the next `install()`. */
  static install(): LogRecorder {
    const recorder = new LogRecorder();
    Logger.overrideLogger(recorder);
    return recorder;
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.add('log', message, rest);
  }
  error(message: unknown, ...rest: unknown[]): void {
    this.add('error', message, rest);
  }
  warn(message: unknown, ...rest: unknown[]): void {
    this.add('warn', message, rest);
  }
  debug(message: unknown, ...rest: unknown[]): void {
    this.add('debug', message, rest);
  }

  /** The lines of one level that contain `part`. */
  find(level: Level, part: string): string[] {
    return this.lines
      .filter((line) => line.level === level && line.text.includes(part))
      .map((line) => line.text);
  }

  /** The lines that Nest's console would print: each message is one line, and each frame of a stack is another. */
  printed(): string[] {
    return this.lines.flatMap(({ text, rest }) => [
      text,
      ...rest.flatMap((each) => each.split('\n    at ')),
    ]);
  }

  private add(level: Level, message: unknown, rest: unknown[]): void {
    const text = message instanceof Error ? (message.stack ?? message.message) : String(message);
    this.lines.push({ level, text, rest: rest.filter((each) => typeof each === 'string') });
  }
}
