import { describe, expect, it } from '@jest/globals';
import { DEFAULT_LIMITS, limitsFromMeta, limitsToMeta } from '../../src/protocol/flow/limits.js';
import { advanceId } from '../../src/protocol/flow/windows.js';
import { Code } from '../../src/wire/codes.js';
import * as constants from '../../src/wire/constants.js';
import { FRAME_RULES, type FrameRule } from '../../src/wire/frame-rules.js';
import {
  PrefaceDecoder,
  addBytes,
  bytesBetween,
  describeFrame,
  idsAhead,
} from '../../src/wire/index.js';
import {
  blocksOf,
  examplesIn,
  lines,
  numbersIn,
  table,
  text,
} from '../support/protocol-document.js';
import { SimPeer } from '../support/sim/sim-peer.js';
import { decodeChunks } from '../support/codec/collect.js';

const { Flag, FrameType, Tag } = constants;

describe('The examples in PROTOCOL.md', () => {
  const examples = examplesIn(text);

  it('show every frame type', () => {
    const shown = new Set(examples.map(({ description }) => description.split(' ')[0]));

    expect(shown).toEqual(new Set(['preface', ...Object.keys(FrameType)]));
  });

  it.each(examples)('are what they say: $writer $description', ({ description, octets }) => {
    expect(describeOctets(octets)).toBe(description);
  });
});

describe('The tables in PROTOCOL.md are those of the code:', () => {
  it('frame types', () => {
    expect(table('| type | name |').map((row) => row.join(' | '))).toEqual(
      [...FRAME_RULES].map((entry) => frameTypeRow(...entry)),
    );
  });

  it('flags', () => {
    expect(numbersIn('| bit | flag |')).toEqual({ ...Flag });
  });

  it('fields, and the frames that they stand on', () => {
    const documented = table('| tag | name |').map(([tag = '', name, , on = '']) => ({
      tag: Number(tag),
      name,
      on: on.split(', ').toSorted(),
    }));

    expect(documented).toEqual(
      Object.entries(Tag).map(([name, tag]) => ({ tag, name, on: framesWith(tag) })),
    );
  });

  it.each([...FRAME_RULES.values()].filter(({ requiredTags }) => requiredTags.length > 0))(
    'the required fields of $name',
    ({ name, requiredTags }) => {
      // WELCOME's are said to be those of HELLO.
      const section = sectionOf(name === 'WELCOME' ? 'HELLO' : name);

      for (const tag of requiredTags) expect(section).toMatch(requiredField(nameOf(tag)));
    },
  );

  it('codes', () => {
    expect(numbersIn('| code | name |')).toEqual({ ...Code });
  });

  it('what is fixed', () => {
    const numbers = Object.entries(constants).filter(([, value]) => typeof value === 'number');

    expect(numbersIn('| name | value |', 1, 0)).toEqual(Object.fromEntries(numbers));
  });

  it('what a side announces', () => {
    const { maxFrame, maxMeta, maxMessage, idle, ...credits } = limitsToMeta(DEFAULT_LIMITS);

    expect(numbersIn('| field | default |', 1, 0)).toEqual({
      MAX_FRAME: maxFrame,
      MAX_META: maxMeta,
      MAX_MESSAGE: maxMessage,
      IDLE: idle,
      'CONNECTION_CREDIT.opens': credits.connectionCredit?.opens,
      'CONNECTION_CREDIT.bytes': credits.connectionCredit?.bytes,
      'SESSION_CREDIT.messages': credits.sessionCredit?.messages,
      'SESSION_CREDIT.bytes': credits.sessionCredit?.bytes,
      'SESSION_CREDIT.items': credits.sessionCredit?.items,
    });
  });

  it('bits of CAPS', () => {
    const documented = Object.fromEntries(
      table('| bit of CAPS |').map(([bit, use]) => [use, Number(bit)]),
    );

    expect(documented).toMatchObject(constants.Capability);
    expect(documented).toEqual({ RESUME: 1, checksums: 2, compression: 4 });
  });
});

describe('The worked example in PROTOCOL.md', () => {
  const limits = {
    ...DEFAULT_LIMITS,
    maxFrame: 16_384,
    maxMeta: 8192,
    maxMessage: 49_152,
    sessions: 8,
    connectionBytes: 65_536,
    messages: 4,
    sessionBytes: 32_768,
  };

  it('has the credit that the listener gives [IC-8.13]', () => {
    const peer = SimPeer.greeted('listener', { limits });
    const deadline = 60_000;
    peer.side.onMessage = (message) => {
      if (message.data.length < 40_000) message.accept();
    };
    peer.send(
      { type: FrameType.OPEN, session: 1, meta: { name: 'test' } },
      { ...request(1, 4096), meta: { deadline } },
      { ...request(2, 8000), meta: { deadline } },
      { ...request(3, 16_366), flags: Flag.MORE, meta: { deadline, total: 40_000 } },
      { ...request(3, 16_384), type: FrameType.FRAG, flags: Flag.MORE },
      { ...request(3, 7250), type: FrameType.FRAG },
    );
    peer.side.last.last.accept();
    peer.flush();

    const documented = table('| step | frame |')
      .map(([, frame = '']) => frame.replace(/ACCEPT (\d)/, 'ACCEPT s=1 id=$1 REPLY'))
      .filter((frame) => frame.startsWith('L: '));
    expect(peer.lines().map((line) => `L: ${line}`)).toEqual(['L: OPENED s=1', ...documented]);
  });

  it('has the least credit and the largest message of the code', () => {
    const least = { ...limits, sessionBytes: 2 * 16_384 };
    const { maxMessage } = limitsFromMeta(limitsToMeta(least));

    expect(maxMessage).toBe(40_949);
    expect(text).toContain('65 536 - 16 384 - 8192 - 11) = 40 949');
    const less = limitsToMeta({ ...limits, sessionBytes: 2 * 16_384 - 1 });
    expect(() => limitsFromMeta(less)).toThrow('at least 32768');
  });
});

describe('The tables of credit in PROTOCOL.md', () => {
  it('count the items of a stream', () => {
    let used = 0;
    let limit = 4;
    const counted = table('| step | frame or event |').map(([step, frame = '']) => {
      if (frame.startsWith('D: ITEM')) used += frame.match(/ITEM/g)?.length ?? 0;
      limit = Number(/items=(\d+)/.exec(frame)?.[1] ?? limit);
      return [step, frame, `${used} / ${limit}`];
    });

    expect(table('| step | frame or event |')).toEqual(counted);
    expect(used).toBeLessThanOrEqual(limit);
  });

  it('wrap as the code does', () => {
    const rows = table('| counter | limit |').map(([counter = '', ...numbers]) => {
      const [limit = 0, credit = 0, , used = 0, next = 0] = numbers.map(Number);
      const ids = counter === 'message ids';
      const after = ids ? advanceId(used, next) : addBytes(used, next) >>> 0;
      const ahead = ids ? idsAhead : bytesBetween;
      return [
        counter,
        limit,
        credit,
        ahead(limit, credit),
        used,
        next,
        after,
        ahead(after, credit),
      ];
    });

    expect(table('| counter | limit |')).toEqual(rows.map((row) => row.map(String)));
  });
});

describe('PROTOCOL.md', () => {
  it('numbers each clause once, in the order of reading and without a gap', () => {
    const chapters = new Map<string, number[]>();
    const clauses = text.matchAll(/\[(IC-[\d.]+)\]/g);
    for (const [, clause = ''] of clauses) {
      const [chapter = '', number] = clause.slice(3).split('.');
      chapters.set(chapter, [...(chapters.get(chapter) ?? []), Number(number)]);
    }

    for (const [chapter, numbers] of chapters) {
      expect({ chapter, numbers }).toEqual({ chapter, numbers: numbers.map((_, at) => at + 1) });
    }
  });

  it('has each MUST in a clause, and each clause in the chapter that it names', () => {
    let chapter = '';
    for (const block of blocksOf(text)) {
      chapter = /^## (\d+)\./.exec(block)?.[1] ?? chapter;
      const demands = /(?<!")\bMUST\b(?!")/.test(block);
      const clauses = [...block.matchAll(/\[IC-(\d+)\.\d+\]/g)].map(([, number]) => number);
      const isLast = /\[IC-[\d.]+\]$/.test(block);
      expect({ block, clauses, isLast }).toEqual({
        block,
        clauses: demands ? [chapter] : [],
        isLast: demands,
      });
    }
  });

  it('counts the malformed inputs upwards', () => {
    const numbers = table('| number | input |').map(([number = '']) => Number(number.slice(1)));

    // One number can have several rows.
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  });

  it('names only codes that there are', () => {
    const named = [...text.matchAll(/(?:CLOSE|REJECT|END)\(([A-Z_]{2,})\)/g)].map(
      ([, code]) => code,
    );

    expect(Object.keys(Code)).toEqual(expect.arrayContaining(named));
  });

  it('has links that lead somewhere', () => {
    const anchors = lines
      .filter((line) => line.startsWith('#'))
      .map((line) =>
        line
          .replace(/^#+ /, '')
          .toLowerCase()
          .replaceAll(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      );

    for (const [, anchor] of text.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(anchor);
  });

  it('has lines of at most 130 characters', () => {
    expect(lines.filter((line) => line.length > 130)).toEqual([]);
  });
});

/** What one frame, or a preface, is. */
function describeOctets(octets: Buffer): string {
  if (octets[0] !== 0xf1) return decodeChunks([octets]).map(describeFrame).join(' + ');
  const preface = new PrefaceDecoder();
  expect(preface.push(octets)).toBe(octets.length);
  return `preface version=${preface.version}`;
}

/** A row of the table of frame types, as the rules of the code demand it. */
function frameTypeRow(type: number, rule: FrameRule): string {
  const flags = Object.entries(Flag).filter(([, bit]) => (rule.flags & bit) !== 0);
  const names = flags.map(([name, bit]) =>
    (rule.requiredFlags & bit) === 0 ? name : `**${name}**`,
  );
  const session = { zero: '0', nonzero: 's', any: 'any' }[rule.session];
  const token = type === FrameType.PING || type === FrameType.PONG;
  const id = { zero: '0', nonzero: 'm', any: token ? 'token' : 'any' }[rule.id];
  return [
    hexOctet(type),
    rule.name,
    session,
    id,
    names.join(' ') || '–',
    rule.tags.length === 0 ? 'none' : 'fields',
    rule.payload,
  ].join(' | ');
}

function framesWith(tag: number): string[] {
  return [...FRAME_RULES.values()]
    .filter(({ tags }) => tags.includes(tag))
    .map(({ name }) => name)
    .toSorted();
}

/** The section of chapter 6 about a frame type. */
function sectionOf(name: string): string {
  const start = lines.findIndex((line) => line.startsWith('### 6.') && line.includes(name));
  expect(start).toBeGreaterThan(0);
  const length = lines.slice(start + 1).findIndex((line) => line.startsWith('#'));
  return lines.slice(start, start + length).join('\n');
}

function nameOf(tag: number): string {
  return Object.entries(Tag).find(([, value]) => value === tag)?.[0] ?? '';
}

/** `| meta, required | NAME |`, `required: NAME.` or `CODE (required)`. */
function requiredField(name: string): RegExp {
  return new RegExp(
    String.raw`meta, required \|[^|]*\b${name}\b|required: [^.]*\b${name}\b|\b${name} \(required\)`,
  );
}

/** A SEND of the session 1. */
function request(id: number, size: number) {
  return { type: FrameType.SEND, session: 1, id, payload: Buffer.alloc(size) };
}

function hexOctet(octet: number): string {
  return `0x${octet.toString(16).padStart(2, '0')}`;
}
