// The small parts of the floor, where a pair of machines would not reach their edges.
import { describe, expect, it } from '@jest/globals';
import { FrameHead, FrameWriter } from '../../../src/protocol/output/frame-writer.js';
import { MessageTable } from '../../../src/protocol/message/message-table.js';
import { keepPayload } from '../../../src/protocol/flow/payload.js';
import { Queue } from '../../../src/protocol/common/queue.js';
import { cutText } from '../../../src/protocol/common/text.js';
import { FrameType, FrameView, MAX_ID } from '../../../src/wire/index.js';
import { Random } from '../../support/random.js';

describe('Queue', () => {
  it('gives out in order what came in, however many come and go', () => {
    const queue = new Queue<number>();
    const random = new Random(7);
    const taken: (number | undefined)[] = [];
    let put = 0;

    for (let turn = 0; turn < 20_000; turn++) {
      if (random.chance(queue.size < 3000 ? 0.6 : 0.4)) queue.push(put++);
      else if (queue.size > 0) taken.push(queue.shift());
    }

    expect(queue.size).toBe(put - taken.length);
    expect(queue.peek()).toBe(taken.length);
    expect([...taken, ...queue]).toEqual(Array.from({ length: put }, (_, at) => at));
    expect(queue.drain()).toHaveLength(put - taken.length);
    expect([queue.size, queue.peek(), queue.shift()]).toEqual([0, undefined, undefined]);
  });

  it('keeps nothing of what has left it, if it is long', () => {
    const queue = new Queue<object>();
    for (let count = 0; count < 3000; count++) queue.push({});

    for (let count = 0; count < 2000; count++) queue.shift();

    expect(queue.size).toBe(1000);
  });
});

describe('MessageTable', () => {
  it('finds every message by its id, while they come and go', () => {
    const table = new MessageTable<{ readonly id: number }>();
    const random = new Random(3);
    const there = new Map<number, { readonly id: number }>();
    const answers = new Set<boolean>();
    let next = MAX_ID - 20_000;

    for (let turn = 0; turn < 60_000; turn++) {
      const id = next;
      if (random.chance(there.size < 6000 ? 0.55 : 0.45)) {
        next = next === MAX_ID ? 1 : next + 1;
        const item = { id };
        there.set(id, item);
        table.add(item);
      } else {
        const gone = [...there.keys()][random.chance(0.9) ? there.size - 1 : 0];
        if (gone !== undefined) answers.add(table.delete(gone) === there.delete(gone));
      }
    }

    expect(answers).toEqual(new Set([true]));
    expect(table.size).toBe(there.size);
    expect([...there].every(([id, item]) => table.get(id) === item)).toBe(true);
    expect(new Set(table.values())).toEqual(new Set(there.values()));
  });

  it('does not lose a message that stays while the ids come round the ring', () => {
    const table = new MessageTable<{ readonly id: number }>();
    const stays = [{ id: 1 }, { id: 2 }];
    for (const item of stays) table.add(item);

    for (let id = 3; id < 10_000; id++) {
      table.add({ id });
      expect(table.delete(id)).toBe(true);
    }

    expect(stays.map(({ id }) => table.get(id))).toEqual(stays);
    expect([table.delete(1), table.delete(1), table.size]).toEqual([true, false, 1]);
  });

  it('has nothing in it at first, and after clear', () => {
    const table = new MessageTable<{ readonly id: number }>();
    expect([table.get(5), table.delete(5), table.values()]).toEqual([undefined, false, []]);
    table.add({ id: 5 });
    table.clear();

    expect([table.get(5), table.size, table.values()]).toEqual([undefined, 0, []]);
  });
});

function headOf(type: number): FrameHead {
  return Object.assign(new FrameHead(), { type, session: 1, id: 1 });
}

describe('FrameWriter', () => {
  /** Writes a frame with this payload, and returns what came out, as it lies in the writer's memory. */
  function write(writer: FrameWriter, payload: Buffer, meta = Buffer.alloc(0)): Buffer[] {
    const chunks: Buffer[] = [];
    writer.begin((chunk) => chunks.push(chunk));
    writer.frame(headOf(FrameType.SEND), meta, payload, 0, payload.length);
    writer.finish();
    return chunks;
  }

  it('copies small payloads, and hands on large ones as they are', () => {
    const writer = new FrameWriter();
    const small = Buffer.alloc(8192, 1);
    const large = Buffer.alloc(8193, 2);

    expect(write(writer, small)).toHaveLength(1);
    const [, second] = write(writer, large);

    expect(second).toBe(large);
  });

  it('leaves alone what nobody has taken yet', () => {
    const writer = new FrameWriter();
    const random = new Random(5);
    const kept: { readonly chunk: Buffer; readonly copy: Buffer }[] = [];

    for (let turn = 0; turn < 200; turn++) {
      const taken = random.chance(0.3);
      for (const chunk of write(writer, random.bytes(random.integer(0, 8192)))) {
        if (!taken) kept.push({ chunk, copy: Buffer.from(chunk) });
      }
      writer.release(taken);
    }

    expect(kept.every(({ chunk, copy }) => chunk.equals(copy))).toBe(true);
  });

  it('uses its memory again where it was taken', () => {
    const writer = new FrameWriter();
    const [first] = write(writer, Buffer.from('a'));
    writer.release(true);

    const [second] = write(writer, Buffer.from('b'));

    expect(second?.buffer).toBe(first?.buffer);
    expect(second?.byteOffset).toBe(first?.byteOffset);
  });

  it('takes frames larger than its memory', () => {
    const writer = new FrameWriter();
    const meta = Buffer.alloc(65_000, 1);

    const chunks = write(writer, Buffer.alloc(8000, 2), meta);
    writer.release(true);

    expect(Buffer.concat(chunks)).toHaveLength(16 + 65_000 + 8000);
  });

  it('writes nothing outside a flush', () => {
    const writer = new FrameWriter();

    expect(() =>
      writer.frame(headOf(FrameType.SEND), Buffer.alloc(0), Buffer.alloc(9000), 0, 9000),
    ).toThrow('outside begin()');
  });
});

describe('keepPayload', () => {
  it.each([
    ['nothing', 0, 65_536, false],
    ['a small part of a large chunk', 100, 65_536, false],
    ['a quarter of its chunk', 1000, 4000, true],
    ['more than is worth copying', 4097, 65_536, true],
  ])('of %s', (_, size, chunk, isView) => {
    const bytes = Buffer.alloc(chunk, 7);

    const frame = Object.assign(new FrameView(), { bytes, start: 10, end: 10 + size });
    const kept = keepPayload(frame);

    expect([...kept]).toEqual([...bytes.subarray(10, 10 + size)]);
    expect(kept.buffer === bytes.buffer).toBe(isView);
  });
});

describe('cutText', () => {
  it.each([
    ['a', 1024, 1024],
    ['a', 1025, 1024],
    ['ü', 512, 512],
    ['大', 400, 341],
    ['🙂', 300, 256],
    ['\ufeff', 2, 2],
  ])('keeps whole characters within 1024 octets: %s', (character, given, kept) => {
    expect(cutText(character.repeat(given))).toBe(character.repeat(kept));
  });

  it('makes any text valid', () => {
    expect(cutText('a\0b\ud800c')).toBe('a\ufffdb\ufffdc');
    expect(cutText('')).toBe('');
  });
});
