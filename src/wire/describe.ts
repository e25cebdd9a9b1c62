// Describes a frame in one line, for traces, tools and test failures. The line never contains payload octets, keys, tokens
// or metadata values. Text from the peer is escaped.

import { Flag, FrameType } from './constants.js';
import { readCredit } from './credit.js';
import { describeFields } from './field-rules.js';
import type { Frame } from './frame.js';
import { frameName } from './frame-rules.js';

/** For instance `SEND s=1 id=4 MORE deadline=5000ms total=70000 65525 B`. */
export function describeFrame(frame: Frame): string {
  const words = [frameName(frame.type), ...describeIds(frame), ...describeFlags(frame.flags)];
  if (frame.type === FrameType.CREDIT) words.push(...describeCredit(frame));
  else {
    words.push(...describeFields(frame.meta));
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
