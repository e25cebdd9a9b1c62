import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { fromBytes, show, toBytes } from '../../sample/01-replication/src/shared/paths.js';
import { Pool } from '../../sample/01-replication/src/shared/pool.js';
import {
  formatBytes,
  formatCount,
  formatRate,
} from '../../sample/01-replication/src/source/format.js';
import { ProgressLines } from '../../sample/01-replication/src/source/progress.js';

describe('a raw path', () => {
  it('keeps every byte of a name', () => {
    const name = Buffer.from(Array.from({ length: 255 }, (_, byte) => byte + 1));

    expect(toBytes(fromBytes(name))).toEqual(name);
  });

  it('is shown as text that cannot command the terminal', () => {
    expect(show(fromBytes(Buffer.from('日本/Grüße\u001b[31m\n')))).toBe(
      '日本/Grüße\\u{1b}[31m\\u{a}',
    );
    expect(show('')).toBe('.');
  });
});

describe('Pool', () => {
  it('runs no more tasks at once than it has places', async () => {
    const pool = new Pool(2);
    let running = 0;
    let most = 0;

    for (let number = 0; number < 10; number++) {
      await pool.add(async () => {
        most = Math.max(most, ++running);
        await setImmediate();
        running--;
      });
    }
    await pool.idle();

    expect({ running, most }).toEqual({ running: 0, most: 2 });
  });

  it('begins nothing after a task has thrown, and throws the same', async () => {
    const pool = new Pool(1);
    await pool.add(async () => {
      throw new Error('first');
    });

    await expect(pool.add(async () => undefined)).rejects.toThrow('first');
    await expect(pool.idle()).rejects.toThrow('first');
  });
});

describe('numbers', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1_500_000_000, '1.5 GB'],
    [2e15, '2000.0 TB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('are written with separators, rates with one digit', () => {
    expect(formatCount(1_234_567)).toBe('1,234,567');
    expect(formatRate(3_000_000, 2)).toBe('1.5');
    expect(formatRate(3_000_000, 0)).toBe('0.0');
  });
});

describe('Progress', () => {
  it('knows how far it is, by bytes and, where there are none, by files', () => {
    class Shares extends ProgressLines {
      override line(): void {}

      get now(): number {
        return this.share;
      }
    }
    const progress = new Shares();

    progress.start('testing', { files: 2, bytes: 100 });
    progress.advance(1, 25);
    expect(progress.now).toBe(0.25);
    progress.start('testing', { files: 2, bytes: 0 });
    progress.advance(1, 0);
    expect(progress.now).toBe(0.5);
    progress.start('testing', { files: 0, bytes: 0 });
    expect(progress.now).toBe(1);
  });
});
