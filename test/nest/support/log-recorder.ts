import { Logger } from '@nestjs/common';
import type { LoggerService } from '@nestjs/common';

type Level = 'log' | 'error' | 'warn' | 'debug';

/** Takes the place of Nest's console logger and keeps every line, so that tests can ask what was logged. */
export class LogRecorder implements LoggerService {
  private readonly lines: { level: Level; text: string }[] = [];

  /** All loggers of this process write here until the next `install()`. */
  static install(): LogRecorder {
    const recorder = new LogRecorder();
    Logger.overrideLogger(recorder);
    return recorder;
  }

  log(message: unknown): void {
    this.add('log', message);
  }
  error(message: unknown): void {
    this.add('error', message);
  }
  warn(message: unknown): void {
    this.add('warn', message);
  }
  debug(message: unknown): void {
    this.add('debug', message);
  }

  /** Lines of one level that contain `part`. */
  find(level: Level, part: string): string[] {
    return this.lines
      .filter((line) => line.level === level && line.text.includes(part))
      .map((line) => line.text);
  }

  private add(level: Level, message: unknown): void {
    this.lines.push({ level, text: message instanceof Error ? message.message : String(message) });
  }
}
