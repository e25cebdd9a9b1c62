// A frame as one line, for traces, tools and test failures. Payload octets, keys, tokens and
// metadata values never appear, and text from the peer only escaped.

import { codeName } from './codes.js';
import { Capability, Flag, FrameType, NEVER_RETRY } from './constants.js';
import { readCredit } from './credit.js';
import type { Frame } from './frame.js';
import { frameName } from './frame-rules.js';
import type { Meta } from './meta-fields.js';
import { quote } from './printable.js';

/** For instance `SEND s=1 id=4 MORE deadline=5000ms total=70000 65525 B`. */
export function describeFrame(frame: Frame): string {
  const words = [frameName(frame.type), ...describeIds(frame), ...describeFlags(frame.flags)];
  if (frame.type === FrameType.CREDIT) words.push(...describeCredit(frame));
  else {
    words.push(...describeMeta(frame.meta));
    if (frame.payload.length > 0) words.push(`${frame.payload.length} B`);
  }
  return words.join(' ');
}

function describeIds({ type, session, id }: Frame): string[] {
  const words: string[] = [];
  if (session !== 0) words.push(`s=${session}`);
  if (type === FrameType.PING || type === FrameType.PONG) words.push(`token=${id}`);
  else if (type === FrameType.CREDIT && session === 0) words.push(`received=${id}`);
  else if (id !== 0) words.push(`id=${id}`);
  return words;
}

function describeFlags(flags: number): string[] {
  return Object.entries(Flag)
    .filter(([, bit]) => flags & bit)
    .map(([name]) => name);
}

function describeCredit({ session, id, payload }: Frame): string[] {
  const { count, bytes } = readCredit(payload, 0, payload.length);
  if (session !== 0 && id !== 0) return [`items=${count}`];
  return [`${session === 0 ? 'opens' : 'messages'}=${count}`, `bytes=${bytes >>> 0}`];
}

/** The fields in the order of their tags. */
function* describeMeta(meta: Meta): Generator<string> {
  if (meta.deadline !== undefined) yield `deadline=${meta.deadline}ms`;
  if (meta.total !== undefined) yield `total=${meta.total}`;
  if (meta.name !== undefined) yield `name=${quote(meta.name)}`;
  if (meta.key !== undefined) yield `key=${meta.key.length}B`;
  if (meta.code !== undefined) yield `code=${codeName(meta.code)}`;
  if (meta.text !== undefined) yield `text=${quote(meta.text)}`;
  if (meta.retryAfter === NEVER_RETRY) yield 'retryAfter=never';
  else if (meta.retryAfter !== undefined) yield `retryAfter=${meta.retryAfter}ms`;
  if (meta.metadata !== undefined) yield `metadata=${meta.metadata.length}`;
  if (meta.maxFrame !== undefined) yield `maxFrame=${meta.maxFrame}`;
  if (meta.maxMessage !== undefined) yield `maxMessage=${meta.maxMessage}`;
  if (meta.idle !== undefined) yield `idle=${meta.idle}ms`;
  if (meta.caps !== undefined) yield `caps=${describeCaps(meta.caps)}`;
  if (meta.connectionCredit !== undefined) {
    yield `opens=${meta.connectionCredit.opens} bytes=${meta.connectionCredit.bytes}`;
  }
  if (meta.sessionCredit !== undefined) {
    const { messages, bytes, items } = meta.sessionCredit;
    yield `messages=${messages} sessionBytes=${bytes} items=${items}`;
  }
  if (meta.agent !== undefined) yield `agent=${quote(meta.agent)}`;
  if (meta.resume !== undefined) yield `resume received=${meta.resume.received}`;
  if (meta.token !== undefined) yield `ttl=${meta.token.ttl}ms`;
  if (meta.resumed !== undefined) yield `resumed received=${meta.resumed}`;
  if (meta.maxMeta !== undefined) yield `maxMeta=${meta.maxMeta}`;
}

/** `RESUME`, or with bits nobody has named `RESUME+0x80000000`. */
function describeCaps(caps: number): string {
  const names = (caps & Capability.RESUME) !== 0 ? ['RESUME'] : [];
  const others = (caps & ~Capability.RESUME) >>> 0;
  return [...names, ...(others === 0 ? [] : [`0x${others.toString(16)}`])].join('+') || 'none';
}
