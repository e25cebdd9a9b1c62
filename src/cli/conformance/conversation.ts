/** The steps that begin most cases: a handshake, a session, a message and its settlement. */
import {
  encodePreface,
  Flag,
  type Frame,
  FrameType,
  frameName,
  HEADER_LENGTH,
  type Meta,
} from '../../wire/index.js';
import { GENEROUS } from './limits.js';
import { demand } from './mismatch.js';
import { accept, frame, open, opened, send, type FrameParts } from './octets.js';
import type { Peer } from './peer.js';
import type { Role, Subject } from './subject.js';

/** An open connection. The suite gives its sessions odd numbers if it dials, and even numbers if it listens. */
export class Conversation {
  readonly peer: Peer;
  readonly role: Role;
  /** HELLO or WELCOME of the implementation under test. */
  readonly greeting: Frame;
  #lastSession: number;

  constructor(peer: Peer, role: Role, greeting: Frame) {
    this.peer = peer;
    this.greeting = greeting;
    this.role = role;
    this.#lastSession = role === 'listener' ? -1 : 0;
  }

  /** The same connection, resumed on another socket. */
  on(peer: Peer): Conversation {
    const next = new Conversation(peer, this.role, this.greeting);
    next.#lastSession = this.#lastSession;
    return next;
  }

  /** The next number for a session of the suite. */
  nextSession(): number {
    this.#lastSession += 2;
    return this.#lastSession;
  }

  /** A session number that only the implementation under test may use. */
  get foreignSession(): number {
    return this.role === 'listener' ? 2 : 101;
  }

  /** Opens a session of the fixture, and waits for OPENED. */
  async open(name: string, meta: Meta = {}): Promise<number> {
    const session = this.nextSession();
    this.peer.write(open(session, name, meta));
    const answer = await this.peer.next(
      `OPENED for ${name}`,
      (each) =>
        each.session === session && (each.type === FrameType.OPENED || each.type === FrameType.END),
    );
    demand(answer.type === FrameType.OPENED, `OPENED for ${name}`, frameName(answer.type));
    return session;
  }

  /** Opens a session that the fixture neither accepts nor rejects. */
  openMute(meta: Meta = {}): number {
    const session = this.nextSession();
    this.peer.write(open(session, 't.mute', meta));
    return session;
  }

  /** Waits for the settlement of a message of the suite. Returns it with all its fragments joined. */
  async settlement(session: number, id: number): Promise<Unit> {
    const first = await this.peer.next(
      `the settlement of message ${id} of session ${session}`,
      (each) =>
        (each.type === FrameType.ACCEPT || each.type === FrameType.REJECT) &&
        each.session === session &&
        each.id === id,
    );
    return this.#whole(first);
  }

  /** Waits for ACCEPT of a message of the suite, with this payload. */
  async accepts(session: number, id: number, payload: Buffer | string): Promise<Unit> {
    const unit = await this.settlement(session, id);
    const expected = Buffer.from(payload);
    demand(unit.type === FrameType.ACCEPT, 'ACCEPT', describeUnit(unit));
    demand(
      unit.payload.equals(expected),
      `a payload of ${expected.length} octets, as they were sent`,
      describeUnit(unit),
    );
    return unit;
  }

  /** Waits for REJECT of a message of the suite, with one of the codes. Without `codes`, any code will do. */
  async rejects(session: number, id: number, ...codes: readonly number[]): Promise<Unit> {
    const unit = await this.settlement(session, id);
    demand(unit.type === FrameType.REJECT, 'REJECT', describeUnit(unit));
    const { code = 0 } = unit.meta;
    if (codes.length > 0) {
      demand(
        codes.includes(code),
        `REJECT with the code ${codes.map(hex).join(' or ')}`,
        `REJECT with the code ${hex(code)}`,
      );
    }
    return unit;
  }

  /**
   * Waits for the next message of the implementation under test in a session. Returns it with all its fragments
   * joined.
   */
  async message(session: number): Promise<Unit> {
    return this.#whole(await this.peer.frame(FrameType.SEND, session));
  }

  /** Writes message frames. Each frame leaves as soon as there is credit for it. */
  async deliver(frames: readonly Buffer[]): Promise<void> {
    for (const each of frames) {
      await this.room(each);
      this.peer.write(each);
    }
  }

  /** Waits until there is credit for a message frame. */
  room(octets: Buffer): Promise<void> {
    const session = octets.readUInt32BE(8);
    const body = octets.length - HEADER_LENGTH;
    const isSend = octets[0] === FrameType.SEND;
    const expected = `credit for ${body} octets of session ${session}`;
    return this.peer
      .until(expected, () => (this.peer.ledger.fits(session, body, isSend) ? null : undefined))
      .then(() => undefined);
  }

  /** Checks that the connection still works: a new session echoes a message. */
  async stillWorks(): Promise<void> {
    const session = await this.open('t.echo');
    this.peer.write(send(session, 1, { payload: 'still here' }));
    await this.accepts(session, 1, 'still here');
  }

  /**
   * Makes the implementation under test open a session: `t.back`. The implementation sends into `t.back` each message
   * that the suite sends in `own`. The suite has not answered the OPEN of `t.back` yet.
   */
  async reverse(): Promise<{ readonly own: number; readonly back: number }> {
    const own = await this.open('t.reverse');
    const { session } = await this.peer.next(
      'OPEN for t.back',
      ({ type, meta }) => type === FrameType.OPEN && meta.name === 't.back',
    );
    return { own, back: session };
  }

  /** As `reverse`, but the suite has accepted `t.back`, and holds one message of it. */
  async reversed(
    parts: FrameParts = { payload: 'there' },
  ): Promise<{ readonly own: number; readonly back: number }> {
    const sessions = await this.reverse();
    this.peer.write(opened(sessions.back), send(sessions.own, 1, parts));
    await this.message(sessions.back);
    return sessions;
  }

  async #whole(first: Frame): Promise<Unit> {
    const frames = [first];
    for (let last = first; (last.flags & Flag.MORE) !== 0;) {
      last = await this.peer.next(
        `the next FRAG of message ${first.id} of session ${first.session}`,
        ({ type, session, id, flags }) =>
          type === FrameType.FRAG &&
          session === first.session &&
          id === first.id &&
          (flags & Flag.REPLY) === (first.flags & Flag.REPLY),
      );
      frames.push(last);
    }
    return { ...first, frames, payload: Buffer.concat(frames.map(({ payload }) => payload)) };
  }
}

/** A message, an item or a settlement: its first frame, and the payload of all its frames. */
export interface Unit extends Frame {
  readonly frames: readonly Frame[];
}

/**
 * A connection with the limits of the suite. A dialer under test has opened `t.echo`, and the suite has accepted it.
 */
export async function converse(
  subject: Subject,
  meta: Meta = {},
  data = '',
): Promise<Conversation> {
  const peer = await subject.connect();
  const payload = Buffer.from(data);
  const greeting = { meta: { ...GENEROUS, ...meta }, payload };
  if (subject.role === 'listener') {
    peer.write(encodePreface(), frame(FrameType.HELLO, greeting));
    const welcome = await peer.frame(FrameType.WELCOME);
    return new Conversation(peer, subject.role, welcome);
  }
  const hello = await peer.frame(FrameType.HELLO);
  peer.write(encodePreface(), frame(FrameType.WELCOME, greeting));
  const conversation = new Conversation(peer, subject.role, hello);
  const { session, meta: fields } = await peer.frame(FrameType.OPEN);
  demand(fields.name === 't.echo', 'OPEN for t.echo', `OPEN for ${fields.name}`);
  peer.write(opened(session));
  const { id } = await conversation.message(session);
  peer.write(accept(session, id, { payload: 'ping' }));
  return conversation;
}

export function describeUnit(unit: Unit): string {
  const code = unit.meta.code === undefined ? '' : ` with the code ${hex(unit.meta.code)}`;
  return `${frameName(unit.type)}${code}, ${unit.payload.length} octets`;
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(4, '0')}`;
}
