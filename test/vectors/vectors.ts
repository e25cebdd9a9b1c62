/**
 * The golden frames. `valid-frames.json` says what each is, octet by octet and field by field; the
 * other two say with which code each is refused: a header as soon as it is there, a frame when it
 * is whole. Entries are only ever added: what was once right on the wire stays right. M1 … M98
 * number the kinds of malformed input.
 */
import { readFileSync } from 'node:fs';
import { Code, Flag, FrameType } from '../../src/wire/index.js';
import type { Frame, Meta } from '../../src/wire/index.js';
import { fromHex } from '../support/codec/hex.js';

export interface ValidVector {
  readonly id: string;
  readonly bytes: Buffer;
  readonly frame: Frame;
  /** What `describeFrame` says. */
  readonly line: string;
  /** False for what we accept but would write otherwise. */
  readonly canonical: boolean;
}

export interface InvalidVector {
  readonly title: string;
  readonly bytes: Buffer;
  readonly code: number;
}

export const validFrames: readonly ValidVector[] = load<ValidRow>('valid-frames.json').map(
  (row) => {
    const tail = row.tail ? Buffer.alloc(row.tail.count, fromHex(row.tail.octet)) : Buffer.alloc(0);
    const { type, flags, session, id, meta, payload } = row.frame;
    return {
      id: row.id,
      bytes: Buffer.concat([fromHex(row.hex), tail]),
      frame: {
        type: FrameType[type],
        flags: flags.reduce((bits, flag) => bits | Flag[flag], 0),
        session,
        id,
        meta: revive(meta),
        payload: payload === undefined ? tail : fromHex(payload),
      },
      line: row.line,
      canonical: row.canonical ?? true,
    };
  },
);

export const invalidHeaders = load<InvalidRow>('invalid-headers.json').map(toInvalidVector);
export const invalidFrames = load<InvalidRow>('invalid-frames.json').map(toInvalidVector);

function toInvalidVector(row: InvalidRow): InvalidVector {
  return {
    title: `${row.what}${row.id === undefined ? '' : ` (${row.id})`} [IC-${row.clause}]`,
    bytes: fromHex(row.hex),
    code: Code[row.code],
  };
}

interface ValidRow {
  readonly id: string;
  readonly hex: string;
  /** A payload too long to write down: one octet, repeated. */
  readonly tail?: { readonly octet: string; readonly count: number };
  readonly frame: {
    readonly type: keyof typeof FrameType;
    readonly flags: readonly (keyof typeof Flag)[];
    readonly session: number;
    readonly id: number;
    readonly meta: MetaRow;
    readonly payload?: string;
  };
  readonly line: string;
  readonly canonical?: boolean;
}

interface InvalidRow {
  readonly id?: string;
  readonly what: string;
  /** The clause of PROTOCOL.md that it breaks. */
  readonly clause: string;
  readonly hex: string;
  readonly code: keyof typeof Code;
}

/** A meta whose octets are hex. */
interface MetaRow extends Omit<Meta, 'key' | 'resume' | 'token'> {
  readonly key?: string;
  readonly resume?: { readonly token: string; readonly received: number };
  readonly token?: { readonly token: string; readonly ttl: number };
}

function revive({ key, resume, token, ...rest }: MetaRow): Meta {
  return {
    ...rest,
    ...(key !== undefined && { key: fromHex(key) }),
    ...(resume !== undefined && { resume: { ...resume, token: fromHex(resume.token) } }),
    ...(token !== undefined && { token: { ...token, token: fromHex(token.token) } }),
  };
}

function load<Row>(file: string): Row[] {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'));
}
