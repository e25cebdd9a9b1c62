import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { resolveOptions } from '../src/endpoint/options.js';
import { DEFAULT_LIMITS, limitsFromMeta, limitsToMeta } from '../src/protocol/limits.js';
import { Code } from '../src/wire/codes.js';
import * as constants from '../src/wire/constants.js';
import { FRAME_RULES, type FrameRule } from '../src/wire/frame-rules.js';
import { PrefaceDecoder, describeFrame } from '../src/wire/index.js';
import { fromHex } from './support/hex.js';
import { SimPeer } from './support/sim-peer.js';
import { decodeChunks } from './wire/collect.js';

const { Flag, FrameType, Tag } = constants;
const text = await readFile(new URL('../PROTOCOL.md', import.meta.url), 'utf8');
const lines = text.trimEnd().split('\n');

describe('The examples in PROTOCOL.md', () => {
  const examples = examplesIn(text);

  it('show every frame type that this edition writes', () => {
    const shown = new Set(examples.map(({ description }) => description.split(' ')[0]));

    const reserved = ['GOAWAY', 'ITEM'];
    const written = Object.keys(FrameType).filter((name) => !reserved.includes(name));
    expect(shown).toEqual(new Set(['preface', ...written]));
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

  it('what each side chooses for itself', () => {
    const { handshakeTimeout, sessionTimeout, messageTimeout } = resolveOptions({});

    expect(table('| what | default |').slice(0, 3)).toEqual([
      ['handshake timeout', `${handshakeTimeout} ms`],
      ['session timeout: DEADLINE of OPEN', `${sessionTimeout} ms`],
      ['message timeout: DEADLINE of SEND', `${messageTimeout} ms`],
    ]);
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

  it('has the credit that the listener gives', () => {
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

describe('PROTOCOL.md', () => {
  it('numbers every MUST, chapter by chapter and without a gap', () => {
    const numbers = [...text.matchAll(/\[IC-(\d+\.\d+)\]/g)].map(([, number = '']) => number);
    const expected: string[] = [];
    let chapter = '';
    for (const number of numbers) {
      const [own = ''] = number.split('.');
      const clause: number = own === chapter ? Number(expected.at(-1)?.split('.')[1]) + 1 : 1;
      chapter = own;
      expected.push(`${own}.${clause}`);
    }

    expect(numbers).toEqual(expected);
    expect(new Set(numbers).size).toBe(numbers.length);
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

    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
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

interface Example {
  readonly writer: string;
  readonly description: string;
  readonly octets: Buffer;
}

/** The frames and prefaces in all blocks that are marked as hex. */
function examplesIn(markdown: string): Example[] {
  const blocks = [...markdown.matchAll(/^```hex\n([\s\S]*?)^```$/gm)];
  return blocks.flatMap(([, block = '']) => block.split(/^(?=[DL] {2})/m).map(exampleOf));
}

/** Writer and description, perhaps on several lines, then lines of octets. */
function exampleOf(entry: string): Example {
  const all = entry.trimEnd().split('\n');
  const firstOctets = all.findIndex((line) => /^ {3}(?:[0-9a-f]{2}\b|\[)/.test(line));
  const words = all.slice(0, firstOctets).map((line) => line.slice(3));
  const hex = all.slice(firstOctets).map((line) => line.replace(/;.*/, ''));
  return {
    writer: entry.slice(0, 1),
    description: words.join(' '),
    octets: Buffer.concat(hex.map(octetsOf)),
  };
}

/** `0a 0b`, or `[3 × 0a]` alone on its line. */
function octetsOf(line: string): Buffer {
  const [, count, octet] = /^\s*\[(\d+) × ([0-9a-f]{2})\]\s*$/.exec(line) ?? [];
  return octet === undefined ? fromHex(line) : Buffer.alloc(Number(count), fromHex(octet));
}

/** What one frame, or a preface, is. */
function describeOctets(octets: Buffer): string {
  if (octets[0] !== 0xf1) return decodeChunks([octets]).map(describeFrame).join(' + ');
  const preface = new PrefaceDecoder();
  expect(preface.push(octets)).toBe(octets.length);
  return `preface version=${preface.version}`;
}

/** The cells of the one table whose heading starts so. */
function table(heading: string): string[][] {
  const starts = lines.filter((line) => line.startsWith(heading));
  expect(starts).toHaveLength(1);
  const start = lines.findIndex((line) => line.startsWith(heading)) + 2;
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'));
  return lines.slice(start, start + length).map((line) => line.slice(2, -2).split(' | '));
}

/** A table of two columns as an object. */
function numbersIn(heading: string, value = 0, name = 1): Record<string, number> {
  return Object.fromEntries(table(heading).map((row) => [row[name], Number(row[value])]));
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

/** Paragraphs, list items, headings, table rows; code blocks line by line. */
function blocksOf(markdown: string): string[] {
  return markdown
    .split(/\n(?=\n|- |\||#)/)
    .map((block) => block.trim())
    .filter((block) => block !== '');
}

/** A SEND of the session 1. */
function request(id: number, size: number) {
  return { type: FrameType.SEND, session: 1, id, payload: Buffer.alloc(size) };
}

function hexOctet(octet: number): string {
  return `0x${octet.toString(16).padStart(2, '0')}`;
}
