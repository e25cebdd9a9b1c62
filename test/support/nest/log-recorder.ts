import { Logger } from '@nestjs/common';
import type { LoggerService } from '@nestjs/common';

type Level = 'log' | 'error' | 'warn' | 'debug';

/** Takes the place of Nest's console logger and keeps every line, so that tests can ask what was logged. */
export class LogRecorder implements LoggerService {
  private readonly lines: { level: Level; text: string; rest: string[] }[] = [];

  /** All loggers of this process write here until the next `install()`. */
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

  /** Lines of one level that contain `part`. */
  find(level: Level, part: string): string[] {
    return this.lines
      .filter((line) => line.level === level && line.text.includes(part))
      .map((line) => line.text);
  }

  /** All that Nest's console would print, line by line: messages, and stacks as one line for each of their frames. */
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
