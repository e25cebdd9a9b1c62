/**
 * The rules of the wire over all sockets of one connection. The audit sees only the octets that were written and the
 * frames that a machine was fed. It compares each frame that is written again with the first writing, and counts each
 * frame once. So the rules for one socket, in `WireAudit`, hold for the whole life of a connection.
 */
import {
  describeFrame,
  type Frame,
  FrameDecoder,
  FrameType,
  type FrameView,
  frameName,
  isSequenced,
  MAX_BODY_LENGTH,
  MAX_ID,
  MAX_META_LENGTH,
  PrefaceDecoder,
} from '../../src/wire/index.js';
import { WireAudit } from '../support/sim/wire-audit.js';

/** 0: what the dialer writes. 1: what the listener writes. */
export type Direction = 0 | 1;

/** The world's side of the audit: its time, its knowledge, and its interest in frames. */
export interface AuditHost {
  now(): number;
  /** A sequenced frame leaves for the first time: it was handed to a socket. */
  onFirst(way: Direction, frame: Frame): void;
  /** Whether the receiving side has given up this request or its session, and therefore holds none of its octets. */
  isGone(way: Direction, session: number, id: number): boolean;
  /** Whether this side has closed the connection: it writes its last frames, and CLOSE. */
  hasClosed(way: Direction): boolean;
  /** Milliseconds until this side gives up the message or the session that it sends. Infinity means never. */
  timeLeft(way: Direction, session: number, id: number): number;
}

/** A written frame. */
interface Written {
  readonly frame: Frame;
  readonly body: Buffer;
  readonly metaLength: number;
  readonly size: number;
}

/** A sequenced frame, and the time when it was last written. */
interface Kept extends Written {
  deadline: number | undefined;
  at: number;
}

export class ConnectionAudit {
  /**
   * `mostKept`: octets of frames that a side may keep. `firstByte`: the first value of the byte counters. A variant
   * may change both.
   */
  static mostKept = 16 * 1024 * 1024;
  static firstByte = 0;
  readonly #host: AuditHost;
  readonly #wire: WireAudit;
  /** All sequenced frames, by direction. */
  readonly #frames: readonly [Kept[], Kept[]] = [[], []];
  /** The number of frames that have taken effect at the reader, by direction. */
  readonly #fed: [number, number] = [0, 0];
  /** `acknowledged`: the number of frames acknowledged. `kept`: octets of the frames that are not acknowledged. */
  readonly #acknowledged: [number, number] = [0, 0];
  readonly #kept: [number, number] = [0, 0];
  /** The last item limit that was granted to each stream. */
  readonly #itemGrants = new Map<string, string>();

  constructor(host: AuditHost, lastId: number, hello: Written) {
    this.#host = host;
    this.#wire = new WireAudit((...request) => host.isGone(...request), lastId);
    this.#greet(0, hello);
  }

  get now(): number {
    return this.#host.now();
  }

  /** The number of sequenced frames of this direction that have taken effect. */
  fed(way: Direction): number {
    return this.#fed[way];
  }

  /** The number of different sequenced frames that were written. */
  written(way: Direction): number {
    return this.#frames[way].length;
  }

  /** The octets that this side may still write, according to the frames. See `WireAudit`. */
  room(way: Direction, session?: number): number | undefined {
    return this.#wire.room(way, session);
  }

  lastIdOf(way: Direction, session: number): number | undefined {
    return this.#wire.lastIdOf(way, session);
  }

  onWelcome(welcome: Written): void {
    this.#greet(1, welcome);
  }

  /** A frame was written after the greeting. `place` is its place among the sequenced frames of its direction. */
  onWritten(way: Direction, place: number, written: Written): void {
    const { frame } = written;
    const frames = this.#frames[way];
    if (!isSequenced(frame.type)) {
      const isEarly = frame.type === FrameType.CREDIT && frame.session !== 0;
      if (isEarly && place < frames.length) fail(frame, 'before the frames that are kept.');
      if (frame.type === FrameType.CREDIT && this.#isNews(way, frame)) {
        this.#wire.onWritten(way, logged(written));
      }
      return;
    }
    const now = this.#host.now();
    const { deadline } = frame.meta;
    if (deadline !== undefined) {
      const left = this.#host.timeLeft(way, frame.session, frame.id);
      if (deadline > Math.max(1, Math.ceil(left))) fail(frame, `${left} ms are left.`);
    }
    const kept = frames[place];
    if (kept === undefined) {
      // The last frame that still fits may be of any size. A closing side keeps nothing any more. [IC-12.9]
      if (this.#kept[way] >= ConnectionAudit.mostKept && !this.#host.hasClosed(way)) {
        fail(frame, 'and has kept too much before.');
      }
      this.#kept[way] += written.size;
      frames.push({ ...written, deadline, at: now });
      this.#wire.onWritten(way, logged(written));
      return this.#host.onFirst(way, frame);
    }
    if (!isSame(kept, frame, written.body, written.metaLength)) {
      fail(frame, `and it was ${describeFrame(kept.frame)}, number ${place + 1}.`);
    }
    const { deadline: former = Infinity } = kept;
    if ((deadline ?? Infinity) > former) fail(frame, `with more time than ${former} ms.`);
    kept.deadline = deadline;
    kept.at = now;
  }

  /** The other side has acknowledged `count` frames of this direction. */
  onAcknowledged(way: Direction, count: number): void {
    for (; this.#acknowledged[way] < count; this.#acknowledged[way]++) {
      this.#kept[way] -= this.#frames[way][this.#acknowledged[way]]?.size ?? 0;
    }
  }

  /** A machine is about to process this frame. */
  onFed(way: Direction, view: FrameView): void {
    const { type, flags, session, id, size } = view;
    if (!isSequenced(type)) {
      const frame = view.decode();
      if (type === FrameType.CREDIT && session === 0) this.onAcknowledged(way === 0 ? 1 : 0, id);
      return this.#wire.onArrived(way, logged({ frame, size }));
    }
    const kept = this.#frames[way][this.#fed[way]];
    const header = { type, flags, session, id };
    if (
      kept === undefined ||
      !isSame(kept, header, view.bytes.subarray(view.start, view.end), view.metaLength)
    ) {
      const frame = view.decode();
      throw new Error(
        `The ${way === 0 ? 'listener' : 'dialer'} takes in ${describeFrame(frame)} as number ` +
          `${this.#fed[way] + 1}, which is ${kept === undefined ? 'not written' : describeFrame(kept.frame)}.`,
      );
    }
    this.#fed[way] += 1;
    this.#wire.onArrived(way, logged({ frame: kept.frame, size }));
  }

  /**
   * Whether this CREDIT changes a limit. Each socket repeats the item limits, but the rules for one socket take each
   * limit once.
   */
  #isNews(way: Direction, { session, id, flags, payload }: Frame): boolean {
    if (session === 0 || id === 0) return true;
    const grant = payload.toString('hex');
    const key = `${way} ${session} ${id} ${flags}`;
    if (this.#itemGrants.get(key) === grant) return false;
    this.#itemGrants.set(key, grant);
    return true;
  }

  #greet(way: Direction, greeting: Written): void {
    this.#wire.onWritten(way, logged(greeting));
    this.#wire.onArrived(way, logged(greeting));
  }
}

/** The frames on one socket, before and after the socket belongs to a connection. */
export class SocketAudit {
  /** Called for each frame. The trace uses it. */
  onFrame: ((way: Direction, frame: Frame) => void) | undefined;
  /** The connection to which WELCOME has assigned the socket. */
  connection: ConnectionAudit | undefined;
  /** Finds the connection that HELLO asks to resume. */
  readonly #find: (token: Buffer) => ConnectionAudit | undefined;
  /** Begins the audit of a new connection, when WELCOME does not resume one. */
  readonly #begin: (hello: Written) => ConnectionAudit;
  readonly #taps: readonly [FrameTap, FrameTap];
  #hello: Written | undefined;
  readonly #places: [number, number] = [0, 0];
  readonly #isClosed: [boolean, boolean] = [false, false];
  readonly #drains: readonly [() => boolean, () => boolean];
  /** By direction: whether GOAWAY must still be written before all other frames. */
  readonly #owesGoaway: [boolean, boolean] = [false, false];
  /**
   * `owesCredit`: whether CREDIT of the connection must still follow the repeated frames. `isOwedSince`: the time
   * when the last repeated frame was written.
   */
  readonly #owesCredit: [boolean, boolean] = [false, false];
  readonly #isOwedSince: [number | undefined, number | undefined] = [undefined, undefined];

  /** `drains`: whether a side drains and has not closed. */
  constructor(
    begin: (hello: Written) => ConnectionAudit,
    find: (token: Buffer) => ConnectionAudit | undefined,
    drains: readonly [() => boolean, () => boolean],
  ) {
    this.#begin = begin;
    this.#find = find;
    this.#drains = drains;
    this.#taps = [
      new FrameTap((written) => this.#onWritten(0, written)),
      new FrameTap((written) => this.#onWritten(1, written)),
    ];
  }

  /** This side writes octets. */
  write(way: Direction, chunk: Buffer): void {
    this.#taps[way].push(chunk);
  }

  #onWritten(way: Direction, written: Written): void {
    const { frame } = written;
    this.onFrame?.(way, frame);
    if (this.#isClosed[way]) fail(frame, 'after its CLOSE.');
    if (frame.type === FrameType.HELLO) return this.#onHello(written);
    if (frame.type === FrameType.WELCOME) return this.#onWelcome(written);
    if (frame.type === FrameType.CLOSE) {
      this.#isClosed[way] = true;
      return;
    }
    if (this.connection === undefined) fail(frame, 'before the handshake.');
    // PING and PONG belong to the socket and not to the connection, so they may come before GOAWAY.
    if (frame.type !== FrameType.PING && frame.type !== FrameType.PONG) {
      const owes = this.#owesGoaway[way] && this.#drains[way]();
      if (owes && frame.type !== FrameType.GOAWAY) fail(frame, 'before GOAWAY.');
      this.#owesGoaway[way] = false;
    }
    this.#checkLimits(way, frame, this.connection);
    this.connection.onWritten(way, this.#places[way], written);
    if (isSequenced(frame.type)) this.#places[way] += 1;
  }

  /** Checks that a CREDIT of the connection follows as soon as the kept frames are written again. */
  #checkLimits(way: Direction, frame: Frame, connection: ConnectionAudit): void {
    if (!this.#owesCredit[way]) return;
    const { now } = connection;
    if (this.#places[way] >= connection.written(way)) this.#isOwedSince[way] ??= now;
    if (frame.type === FrameType.CREDIT && frame.session === 0) this.#owesCredit[way] = false;
    else if (now > (this.#isOwedSince[way] ?? now))
      fail(frame, 'before the limits of the connection.');
  }

  #onHello(written: Written): void {
    if (this.#hello !== undefined) fail(written.frame, 'a second time.');
    this.#hello = written;
    const { resume } = written.frame.meta;
    if (resume === undefined) return;
    const count = this.#find(resume.token)?.fed(1);
    if (resume.received !== count) fail(written.frame, `and ${count} have taken effect.`);
  }

  #onWelcome(written: Written): void {
    const { frame } = written;
    const hello = this.#hello;
    if (hello === undefined) fail(frame, 'before HELLO.');
    const { resumed } = frame.meta;
    if (resumed === undefined) {
      this.connection = this.#begin(hello);
      return this.connection.onWelcome(written);
    }
    if (this.connection === undefined) fail(frame, 'for a connection that it does not have.');
    const count = this.connection.fed(0) & MAX_ID;
    if (resumed !== count) fail(frame, `and ${count} have taken effect.`);
    this.#places[0] = count;
    this.#places[1] = hello.frame.meta.resume?.received ?? 0;
    for (const way of [0, 1] as const) {
      this.connection.onAcknowledged(way, this.#places[way]);
      this.#owesGoaway[way] = this.#drains[way]();
      this.#owesCredit[way] = true;
    }
  }
}

/** Decodes the written octets into frames. */
class FrameTap {
  readonly #preface = new PrefaceDecoder();
  readonly #decoder: FrameDecoder;

  constructor(onFrame: (written: Written) => void) {
    const sink = {
      onFrame(view: FrameView): void {
        const body = Buffer.from(view.bytes.subarray(view.start, view.end));
        const { metaLength } = view;
        const own = Object.assign(view.copy(), { bytes: body, start: 0, end: body.length });
        onFrame({ frame: own.decode(), body, metaLength, size: body.length });
      },
    };
    const limits = { maxFrame: MAX_BODY_LENGTH, maxMeta: MAX_META_LENGTH };
    this.#decoder = new FrameDecoder(sink, limits);
  }

  push(chunk: Buffer): void {
    const taken = this.#preface.version === undefined ? this.#preface.push(chunk) : 0;
    this.#decoder.push(chunk.subarray(taken));
  }
}

/** Whether both frames are equal octet for octet. Only the value of DEADLINE may differ. */
function isSame(kept: Kept, header: Header, body: Buffer, metaLength: number): boolean {
  const { type, flags, session, id, meta } = kept.frame;
  if (header.type !== type || header.flags !== flags || header.session !== session) return false;
  if (header.id !== id || metaLength !== kept.metaLength) return false;
  if (meta.deadline === undefined) return kept.body.equals(body);
  // DEADLINE is the first field. Its tag and length must be equal, and its value may differ.
  const { body: former } = kept;
  if (former.length !== body.length || former[0] !== body[0]) return false;
  return former.compare(body, DEADLINE_LENGTH, body.length, DEADLINE_LENGTH) === 0;
}

type Header = Pick<Frame, 'type' | 'flags' | 'session' | 'id'>;

/** The frame for the rules of one socket, which assume that byte counters begin with 0. */
function logged({
  frame,
  size,
}: Pick<Written, 'frame' | 'size'>): Frame & { readonly size: number } {
  const { firstByte } = ConnectionAudit;
  const { type, flags, session, id, meta, payload } = frame;
  if (firstByte === 0 || type !== FrameType.CREDIT || (session !== 0 && id !== 0)) {
    return { type, flags, session, id, meta, payload, size };
  }
  const shifted = Buffer.from(payload);
  shifted.writeUInt32BE((payload.readUInt32BE(4) - firstByte) >>> 0, 4);
  return { ...frame, payload: shifted, size };
}

function fail(frame: Frame, reason: string): never {
  const who = frameName(frame.type) === 'HELLO' ? 'The dialer' : 'Somebody';
  throw new Error(`${who} writes ${describeFrame(frame)}, ${reason}`);
}

const DEADLINE_LENGTH = 7;
