/**
 * What PROTOCOL.md tells of a connection that survives its socket: the frames of its examples and the lines
 * of its diagrams, counted as its chapter 17 says.
 */
import { describe, expect, it } from '@jest/globals';
import { Flag, FrameType, type Frame, isSequenced, readCredit } from '../../src/wire/index.js';
import {
  blocksMarked,
  type Example,
  examplesIn,
  sectionFrom,
} from '../support/protocol-document.js';
import { decodeChunks } from '../support/codec/collect.js';

type Writer = 'D' | 'L';
interface Told {
  readonly writer: Writer;
  readonly description: string;
  readonly octets: Buffer;
  readonly frame: Frame;
}

/** The examples of these sections, prefaces aside. */
function toldIn(...headings: string[]): Told[] {
  return headings.flatMap((heading) => examplesIn(sectionFrom(heading)).flatMap(framesOf));
}

function framesOf({ writer, description, octets }: Example): Told[] {
  if (octets[0] === 0xf1) return [];
  return decodeChunks([octets]).map((frame) => ({
    writer: writer === 'D' ? 'D' : 'L',
    description,
    octets,
    frame,
  }));
}

function other(writer: Writer): Writer {
  return writer === 'D' ? 'L' : 'D';
}

/** What a frame says that its writer has read, if it says that. */
function countIn({ type, session, id, meta }: Frame): number | undefined {
  if (type === FrameType.CREDIT && session === 0) return id;
  return meta.resume?.received ?? meta.resumed;
}

describe('The connection that the examples of PROTOCOL.md tell', () => {
  const told = toldIn('### A.12', '### A.13', '### A.14', '### A.15', '### A.16');
  const key = ({ writer, frame }: Told): string => `${writer} ${frame.session} ${frame.id}`;
  const sends = told.filter(({ frame }) => frame.type === FrameType.SEND);
  const [lost] = sends.filter((one, at) =>
    sends.slice(at + 1).some((two) => key(two) === key(one)),
  );
  const arrived = told.filter((one) => one !== lost);

  it('has the counts that follow from its frames', () => {
    const read = { D: 0, L: 0 };
    const counts: (readonly [string, number])[] = [];
    const actual: (readonly [string, number])[] = [];
    for (const { writer, frame, description } of arrived) {
      const count = countIn(frame);
      if (count !== undefined) {
        counts.push([description, count]);
        actual.push([description, read[writer]]);
      }
      if (isSequenced(frame.type)) read[other(writer)] += 1;
    }

    expect(counts).toEqual(actual);
    expect(counts.length).toBeGreaterThan(8);
    const [, refused] = [...examplesIn(sectionFrom('### A.17'))].map(framesOf).flat();
    const hello = toldIn('### A.17')[0];
    expect(refused?.frame.meta.resumed).toBeUndefined();
    // A.17 stands in the place of A.16, which the dialer ends with one frame more.
    expect(hello?.frame.meta.resume?.received).toBe(read.D - 1);
  });

  it('gives back what it has read', () => {
    const read = { D: 0, L: 0 };
    const granted: (readonly [string, number])[] = [];
    const given: (readonly [string, number])[] = [];
    for (const { writer, frame, description, octets } of arrived) {
      const { type, session, id, payload } = frame;
      if (type === FrameType.CREDIT && (session === 0 || id === 0)) {
        const first = session === 0 ? 64 * 1024 * 1024 : 4 * 1024 * 1024;
        granted.push([description, readCredit(payload, 0, payload.length).bytes]);
        given.push([description, first + read[writer]]);
      }
      if (type >= FrameType.SEND && type <= FrameType.CANCEL)
        read[other(writer)] += octets.length - 16;
    }

    expect(granted).toEqual(given);
  });

  it('stays within the credit of its streams', () => {
    const limits = new Map<string, number>();
    const used = new Map<string, number>();
    const beyond: string[] = [];
    for (const { writer, frame, description } of arrived) {
      const { type, session, id, flags, payload } = frame;
      // A stream is known by the side that reads it, and by the flags of what is said about it.
      const reply = (flags & Flag.REPLY) !== 0;
      if (type === FrameType.CREDIT && session !== 0 && id !== 0) {
        limits.set(`${writer} ${id} ${!reply}`, readCredit(payload, 0, payload.length).count);
      } else if (type === FrameType.ITEM) {
        const stream = `${other(writer)} ${id} ${reply}`;
        const count = (used.get(stream) ?? 0) + 1;
        used.set(stream, count);
        if (count > (limits.get(stream) ?? FIRST_ITEMS)) beyond.push(description);
      }
    }

    expect(beyond).toEqual([]);
    expect([...limits.keys()].toSorted()).toEqual([...used.keys()].toSorted());
  });

  it('writes the lost frame again, octet by octet but for DEADLINE', () => {
    const again = arrived.find((one) => lost !== undefined && key(one) === key(lost));
    const without = (octets: Buffer | undefined): Buffer =>
      Buffer.concat([
        octets?.subarray(0, 19) ?? Buffer.alloc(0),
        octets?.subarray(23) ?? Buffer.alloc(1),
      ]);

    expect(without(again?.octets)).toEqual(without(lost?.octets));
    expect(again?.frame.meta.deadline).toBeLessThan(lost?.frame.meta.deadline ?? 0);
  });

  it('keeps its token, and gives another to another connection', () => {
    const tokens = [...told, ...toldIn('### A.17')].flatMap(({ frame: { meta } }) =>
      [meta.token, meta.resume].flatMap((field) => field?.token.toString('hex') ?? []),
    );

    const [first, resumed, refused, fresh] = tokens;
    expect(tokens).toEqual([first, first, first, fresh]);
    expect([resumed, refused]).toEqual([first, first]);
    expect(fresh).not.toBe(first);
  });
});

describe('The cut points of PROTOCOL.md', () => {
  const diagrams = blocksMarked('cut', sectionFrom('### 17.8')).map((diagram, at) => ({
    at: at + 1,
    diagram,
  }));

  it('are told, one by one', () => {
    expect(diagrams).toHaveLength(7);
  });

  it.each(diagrams)('$at: count what has arrived, and write again what has not', ({ diagram }) => {
    const rows = diagram.trimEnd().split('\n').slice(1);

    expect(rows.filter((row) => !ROW.test(row))).toEqual([]);
    expect(faultsOf(rows)).toEqual([]);
    expect(diagram).toMatch(/-x|x-/);
  });

  it('all resume', () => {
    for (const { diagram } of diagrams) {
      expect(diagram).toContain('HELLO (RESUME ');
      expect(diagram).toMatch(/WELCOME \((?:RESUMED \d|RESUME_UNKNOWN)/);
    }
  });
});

/** Lines that cannot follow those above them. */
function faultsOf(rows: readonly string[]): string[] {
  const faults: string[] = [];
  const read = { D: 0, L: 0 };
  for (const row of rows) {
    const [, body = ''] = ROW.exec(row) ?? [];
    const [, side, number] = /\b([DL])(\d+) /.exec(body) ?? [];
    if (side === 'D' || side === 'L') {
      const reader = other(side);
      const arrives = body.startsWith('<') || body.endsWith('>');
      const isNext = Number(number) === read[reader] + 1;
      // What is lost may be any that has not been read.
      if (!isNext && (arrives || Number(number) <= read[reader])) faults.push(row);
      if (arrives) read[reader] = Number(number);
    }
    const [, count] = /\(RESUMED? (\d+)\)/.exec(body) ?? [];
    const own = body.startsWith('HELLO') ? read.D : read.L;
    if (count !== undefined && Number(count) !== own) faults.push(row);
    // A new connection begins.
    if (body.includes('RESUME_UNKNOWN')) read.D = read.L = 0;
  }
  return faults;
}

const ROW = /^ {2}\| (.{58}) \|(?: {2}\S.*)?$/;
/** What both sides of the examples take of a stream before they say more. */
const FIRST_ITEMS = 4;
