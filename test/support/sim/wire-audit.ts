/**
 * Checks each frame that a machine writes against the rules of the wire. The audit derives the state of both sides
 * from the frames alone, independently of `src`. It throws at the first frame that breaks a rule.
 */
import {
  addBytes,
  bytesBetween,
  Code,
  describeFrame,
  Flag,
  FrameType,
  frameName,
  idsAhead,
  isSequenced,
  MAX_ID,
  nextId,
  readCredit,
} from '../../../src/wire/index.js';
import type { LoggedFrame as Frame } from '../codec/frame-log.js';
import { AuditedItems } from './wire-audit-items.js';

/** The credit of one side, as the frames that have reached it say. */
interface Window {
  used: number;
  limit: number;
}

interface AuditedSession {
  readonly byDialer: boolean;
  opened: boolean;
  /** Index 0: what the dialer writes. Index 1: what the listener writes. */
  readonly ways: readonly [AuditedWay, AuditedWay];
}

/** One direction of a session: the requests of one side. */
interface AuditedWay {
  readonly bytes: Window;
  /** The limits that the receiver has written. Their CREDIT may still be on its way. */
  grantedMessages: number;
  grantedBytes: number;
  messageLimit: number;
  lastId: number;
  /** Whether the sender of these requests has written END, and whether END has arrived. */
  ended: boolean;
  endArrived: boolean;
  /** Whether an END with a code from the sender has arrived. */
  isAborted: boolean;
  /** The requests without a settlement. */
  readonly unsettled: Map<number, AuditedMessage>;
  readonly cancelled: Set<number>;
  /**
   * The items of requests and of responses, by message. They stay after the settlement, because frames may cross it.
   */
  readonly requestItems: Map<number, AuditedItems>;
  readonly replyItems: Map<number, AuditedItems>;
  settled: number;
  /** The number of settlements that are written and have not arrived. */
  answered: number;
  unfinished: AuditedUnit | undefined;
  /** The ids of requests, and of settlements, of which only a part has arrived. */
  readonly sending: Set<number>;
  readonly settling: Set<number>;
}

interface AuditedMessage {
  readonly oneWay: boolean;
  /** Octets of the message's frames that have arrived. */
  arrived: number;
  reply: AuditedUnit | undefined;
}

interface AuditedUnit {
  readonly id: number;
  readonly total: number | undefined;
  size: number;
}

/** 0: what the dialer writes, 1: what the listener writes. */
type Way = 0 | 1;

export class WireAudit {
  /** Whether the receiving side has given up this request or its session, and therefore holds none of its octets. */
  readonly #isGone: (way: Way, session: number, id: number) => boolean;
  readonly #sessions = new Map<number, AuditedSession>();
  readonly #ends = [new AuditedEnd(), new AuditedEnd()] as const;

  readonly #lastId: number;

  /** `lastId`: the id before the id of the first message. */
  constructor(isGone: (way: Way, session: number, id: number) => boolean, lastId: number) {
    this.#isGone = isGone;
    this.#lastId = lastId;
  }

  /** This side has written a frame. */
  onWritten(way: Way, frame: Frame): void {
    try {
      this.#check(way, frame);
    } catch (error) {
      const who = way === 0 ? 'dialer' : 'listener';
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`The ${who} wrote ${describeFrame(frame)}: ${reason}`, { cause: error });
    }
  }

  /** The frame has reached the other side. */
  onArrived(way: Way, frame: Frame): void {
    const other = this.#ends[1 - way]!;
    if (isSequenced(frame.type)) other.received += 1;
    if (frame.type === FrameType.CREDIT) return this.#arriveCredit(way, frame);
    if (frame.type === FrameType.HELLO || frame.type === FrameType.WELCOME) {
      other.greeting = frame.meta;
      const { connectionCredit } = frame.meta;
      other.opens = connectionCredit?.opens ?? 0;
      other.bytes.limit = connectionCredit?.bytes ?? 0;
    }
    const ways = this.#sessions.get(frame.session)?.ways;
    if (ways === undefined) return;
    if (frame.type === FrameType.END) {
      ways[way].endArrived = true;
      ways[way].isAborted ||= (frame.meta.code ?? Code.OK) !== Code.OK;
    }
    if (!isMessageFrame(frame.type)) return;
    other.arrived = addBytes(other.arrived, frame.size);
    if (frame.type === FrameType.ITEM) return this.#items(ways, way, frame)?.onArrived();
    if ((frame.flags & Flag.REPLY) !== 0) {
      if (frame.type === FrameType.ACCEPT || frame.type === FrameType.REJECT) {
        ways[1 - way]!.requestItems.get(frame.id)?.onSettled();
      } else if (!ways[1 - way]!.settling.has(frame.id)) {
        return;
      }
      // If the settlement came before the message was complete, its sender now stops.
      const theirs = ways[1 - way]!;
      if ((frame.flags & Flag.MORE) === 0) {
        theirs.answered -= 1;
        theirs.settling.delete(frame.id);
      } else {
        theirs.settling.add(frame.id);
      }
      if (theirs.unfinished?.id === frame.id) theirs.unfinished = undefined;
    } else {
      const message = ways[way].unsettled.get(frame.id);
      // An item's credit returns when the application takes the item. The frames do not show that moment.
      const ofItem = frame.type === FrameType.FRAG && !ways[way].sending.has(frame.id);
      if (message !== undefined && !ofItem) message.arrived += frame.size;
      if ((frame.flags & Flag.MORE) === 0) ways[way].sending.delete(frame.id);
      else if (frame.type === FrameType.SEND) ways[way].sending.add(frame.id);
    }
  }

  /**
   * Octets of message frames that this side may still write, on the connection or in one session, as its frames say.
   */
  room(way: Way, session?: number): number | undefined {
    const window =
      session === undefined ? this.#ends[way].bytes : this.#sessions.get(session)?.ways[way].bytes;
    return window && bytesBetween(window.used, window.limit);
  }

  /** The id of the last request that this side has written in a session. */
  lastIdOf(way: Way, session: number): number | undefined {
    return this.#sessions.get(session)?.ways[way].lastId;
  }

  #check(way: Way, frame: Frame): void {
    const end = this.#ends[way];
    assert(!end.closed, 'it has written CLOSE before.');
    if (isSequenced(frame.type)) end.sent += 1;
    switch (frame.type) {
      case FrameType.HELLO:
      case FrameType.WELCOME:
        assert(!end.greeted, 'a second greeting.');
        end.greeted = true;
        end.grantedOpens = frame.meta.connectionCredit?.opens ?? 0;
        end.grantedBytes = frame.meta.connectionCredit?.bytes ?? 0;
        end.own = frame.meta;
        return;
      case FrameType.CLOSE:
        end.closed = true;
        return;
      case FrameType.PING:
      case FrameType.PONG:
      case FrameType.GOAWAY:
        return assert(end.greeted, 'before its greeting.');
      case FrameType.CREDIT:
        return this.#writeCredit(way, frame);
      case FrameType.OPEN:
        return this.#open(way, frame);
      case FrameType.OPENED: {
        const session = this.#session(way, frame);
        assert(session.byDialer !== (way === 0), 'by the opener of the session.');
        assert(!session.opened, 'a second time.');
        session.opened = true;
        return;
      }
      case FrameType.END: {
        const { ways } = this.#session(way, frame);
        const own = ways[way];
        assert(!own.ended, 'a second time.');
        own.ended = true;
        // An END that answers an abort may interrupt a message, because the session is already closed for its reader.
        const { isAborted } = ways[1 - way]!;
        if (isAborted || (frame.meta.code ?? Code.OK) !== Code.OK) return;
        assert(own.unfinished === undefined, `amid message ${own.unfinished?.id}.`);
        for (const [id, items] of own.requestItems) {
          assert(
            items.isOver || !own.unsettled.has(id),
            `the items of message ${id} are incomplete.`,
          );
        }
        return;
      }
      default:
        return this.#message(way, frame);
    }
  }

  #open(way: Way, frame: Frame): void {
    const end = this.#ends[way];
    assert((frame.session & 1) === 1 - way, 'the parity of the number is that of the other side.');
    assert(frame.session > end.lastSession, `after session ${end.lastSession}.`);
    end.lastSession = frame.session;
    end.opened += 1;
    assert(end.opened <= end.opens, `beyond the limit of ${end.opens} sessions.`);
    this.#sessions.set(frame.session, {
      byDialer: way === 0,
      opened: false,
      ways: [this.#newWay(0), this.#newWay(1)],
    });
  }

  /** The other side has announced the limits of requests in this direction. */
  #newWay(way: Way): AuditedWay {
    const credit = this.#ends[1 - way]!.own?.sessionCredit ?? { messages: 0, bytes: 0 };
    return {
      bytes: { used: 0, limit: credit.bytes },
      grantedMessages: advance(this.#lastId, credit.messages),
      grantedBytes: credit.bytes,
      messageLimit: advance(this.#lastId, credit.messages),
      lastId: this.#lastId,
      ended: false,
      endArrived: false,
      isAborted: false,
      unsettled: new Map(),
      cancelled: new Set(),
      settled: 0,
      answered: 0,
      unfinished: undefined,
      requestItems: new Map(),
      replyItems: new Map(),
      sending: new Set(),
      settling: new Set(),
    };
  }

  #message(way: Way, frame: Frame): void {
    const session = this.#session(way, frame);
    const own = session.ways[way];
    const size = frame.size;
    assert(
      session.opened || session.byDialer === (way === 0) || frame.type === FrameType.REJECT,
      'before OPENED.',
    );
    use(this.#ends[way].bytes, size, 'connection');
    use(own.bytes, size, 'session');
    const maxMeta = this.#ends[way].greeting?.maxMeta ?? Infinity;
    const maxFrame = this.#ends[way].greeting?.maxFrame ?? Infinity;
    assert(size <= maxFrame, `beyond the other side's frame of ${maxFrame} octets.`);
    assert(size - frame.payload.length <= maxMeta, `beyond the other side's meta of ${maxMeta}.`);
    switch (frame.type) {
      case FrameType.SEND:
        return this.#send(way, own, frame);
      case FrameType.ITEM:
        return this.#item(way, session, frame);
      case FrameType.FRAG: {
        if ((frame.flags & Flag.REPLY) === 0) return this.#fragment(own, frame);
        const theirs = session.ways[1 - way]!;
        const items = theirs.replyItems.get(frame.id);
        if (items?.isUnfinished === true) return items.onFragment(frame);
        return this.#settle(theirs, frame);
      }
      case FrameType.ACCEPT:
      case FrameType.REJECT:
        return this.#settle(session.ways[1 - way]!, frame);
      case FrameType.CANCEL:
        assert(frame.id !== 0 && idsAhead(frame.id, own.lastId) < 2 ** 30, 'a message never sent.');
        if (own.unfinished?.id === frame.id) own.unfinished = undefined;
        own.requestItems.get(frame.id)?.onCancel();
        assert(!own.cancelled.has(frame.id), 'it is cancelled already.');
        own.cancelled.add(frame.id);
        return;
      default:
        throw new Error(`${frameName(frame.type)} is not expected.`);
    }
  }

  /** The stream to which an ITEM, a FRAG or a CREDIT for items belongs. */
  #items(ways: AuditedSession['ways'], way: Way, { flags, id }: Frame): AuditedItems | undefined {
    if ((flags & Flag.REPLY) === 0) return ways[way].requestItems.get(id);
    return ways[1 - way]!.replyItems.get(id);
  }

  #item(way: Way, { ways }: AuditedSession, frame: Frame): void {
    if ((frame.flags & Flag.REPLY) === 0) {
      assert(!ways[way].ended, 'after END.');
      assert(ways[way].unfinished?.id !== frame.id, 'before its message is complete.');
    } else {
      const message = ways[1 - way]!.unsettled.get(frame.id);
      assert(message !== undefined && !message.oneWay, 'the message is not unsettled.');
      assert(message.reply === undefined, 'the settlement has begun.');
    }
    const items = this.#items(ways, way, frame);
    assert(items !== undefined, 'the message has no stream.');
    items.onItem(frame);
  }

  #send(way: Way, own: AuditedWay, frame: Frame): void {
    const { flags, id, payload, meta } = frame;
    assert(!own.ended, 'after END.');
    assert(own.unfinished === undefined, `while message ${own.unfinished?.id} is unfinished.`);
    assert(id === nextId(own.lastId), `after message ${own.lastId}.`);
    assert(idsAhead(id, own.messageLimit) < 2 ** 30, `beyond the limit ${own.messageLimit}.`);
    own.lastId = id;
    const oneWay = (flags & Flag.ONEWAY) !== 0;
    own.unsettled.set(id, { oneWay, arrived: 0, reply: undefined });
    own.cancelled.delete(id);
    const [mine, theirs] = [this.#ends[way], this.#ends[1 - way]!].map(
      (end) => end.own?.sessionCredit?.items ?? 0,
    ) as [number, number];
    own.requestItems.delete(id);
    if ((flags & Flag.STREAM) !== 0) own.requestItems.set(id, new AuditedItems(theirs));
    own.replyItems.set(id, new AuditedItems(mine));
    if ((flags & Flag.MORE) !== 0) own.unfinished = { id, total: meta.total, size: payload.length };
  }

  #fragment(own: AuditedWay, frame: Frame): void {
    const items = own.requestItems.get(frame.id);
    if (items?.isUnfinished === true) return items.onFragment(frame);
    const { flags, id, payload } = frame;
    const unit = own.unfinished;
    assert(unit?.id === id, 'no message with this id is incomplete.');
    unit.size += payload.length;
    if ((flags & Flag.MORE) !== 0) return;
    assert(unit.total === unit.size, `${unit.size} octets, ${unit.total} announced.`);
    own.unfinished = undefined;
  }

  #settle(theirs: AuditedWay, { type, flags, id, payload, meta }: Frame): void {
    const message = theirs.unsettled.get(id);
    assert(message !== undefined, 'the message is not unsettled.');
    assert(!message.oneWay, 'the message is one-way.');
    const more = (flags & Flag.MORE) !== 0;
    assert(
      theirs.replyItems.get(id)?.isUnfinished !== true,
      'an item of the response is incomplete.',
    );
    if (type === FrameType.FRAG) {
      const unit = message.reply;
      assert(unit !== undefined, 'the settlement has not begun.');
      unit.size += payload.length;
      if (!more) assert(unit.size === unit.total, 'the settlement is not what TOTAL announced.');
    } else {
      assert(message.reply === undefined, 'the settlement has begun before.');
      // An application may reject with the code DEADLINE too. The text tells the library's own rejection from it.
      const isLate = type === FrameType.REJECT && meta.code === Code.DEADLINE && meta.text === LATE;
      const hasItems = theirs.replyItems.get(id)?.hasBegun === true;
      assert(!isLate || !hasItems, 'the answer has begun.');
      const endsStream = type === FrameType.REJECT || (flags & Flag.STREAM) !== 0;
      assert(endsStream || !hasItems, 'items came before, and STREAM is missing.');
      if (more) message.reply = { id, total: meta.total, size: payload.length };
    }
    if (more) return;
    theirs.unsettled.delete(id);
    theirs.settled += 1;
    theirs.answered += 1;
  }

  #session(way: Way, { type, session }: Frame): AuditedSession {
    const audited = this.#sessions.get(session);
    assert(audited !== undefined, 'the session was never opened.');
    const { ways } = audited;
    // A CANCEL may have waited in the output while the settlement came.
    if (type !== FrameType.CANCEL && ways[way].ended && ways[1 - way]!.endArrived) {
      // A one-way message gets no settlement, so the wire does not show its end.
      const rest =
        ways[0].unsettled.size +
        ways[1].unsettled.size +
        ways[1 - way]!.answered +
        ways[way].answered;
      assert(rest > 0, 'the session is over.');
    }
    return audited;
  }

  #writeCredit(way: Way, frame: Frame): void {
    const { count, bytes } = readCredit(frame.payload, 0, frame.payload.length);
    const end = this.#ends[way];
    const theirs: Way = way === 0 ? 1 : 0;
    if (frame.session === 0) {
      assert(frame.id === (end.received & MAX_ID), `${end.received} frames have arrived.`);
      assert(count >= end.grantedOpens, `fewer sessions than ${end.grantedOpens}.`);
      assert(bytesBetween(end.grantedBytes, bytes) >= 0, 'fewer bytes than before.');
      end.grantedOpens = count;
      end.grantedBytes = bytes;
      // The octets that may still come, and those that are held, must fit into the announced credit.
      const size = end.own?.connectionCredit?.bytes ?? 0;
      const open = bytesBetween(end.arrived, bytes);
      const held = this.#held(theirs);
      assert(open + held <= size, `${open} allowed and ${held} held are more than ${size}.`);
      return;
    }
    if (frame.id !== 0) {
      const { ways } = this.#session(way, frame);
      // This side receives the items that the other side writes, so the flag REPLY is inverted.
      const reply = (frame.flags & Flag.REPLY) === 0 ? Flag.REPLY : 0;
      const items = this.#items(ways, theirs, { ...frame, flags: reply });
      assert(items !== undefined, 'the message has no stream.');
      return items.onGrant(count);
    }
    const requests = this.#session(way, frame).ways[theirs];
    assert(idsAhead(requests.grantedMessages, count) < 2 ** 30, 'fewer messages than before.');
    assert(bytesBetween(requests.grantedBytes, bytes) >= 0, 'fewer bytes than before.');
    requests.grantedMessages = count;
    requests.grantedBytes = bytes;
    const size = end.own?.sessionCredit?.messages ?? 0;
    const oneWays = [...requests.unsettled.values()].filter(({ oneWay }) => oneWay).length;
    const allowed = idsAhead(advance(this.#lastId, requests.settled + oneWays), count);
    assert(allowed <= size, `${allowed} more messages than are settled; the limit is ${size}.`);
  }

  #arriveCredit(way: Way, frame: Frame): void {
    const { count, bytes } = readCredit(frame.payload, 0, frame.payload.length);
    const theirs: Way = way === 0 ? 1 : 0;
    if (frame.session === 0) {
      this.#ends[theirs].opens = count;
      this.#ends[theirs].bytes.limit = bytes;
      return;
    }
    const ways = this.#sessions.get(frame.session)?.ways;
    if (ways !== undefined && frame.id !== 0) {
      const reply = (frame.flags & Flag.REPLY) === 0 ? Flag.REPLY : 0;
      return this.#items(ways, theirs, { ...frame, flags: reply })?.onCredit(count);
    }
    const requests = ways?.[theirs];
    if (requests === undefined) return;
    requests.messageLimit = count;
    requests.bytes.limit = bytes;
  }

  /** Octets of requests in this direction that have arrived and are not settled. */
  #held(way: Way): number {
    let held = 0;
    for (const [session, { ways }] of this.#sessions) {
      for (const [id, message] of ways[way].unsettled) {
        if (!message.oneWay && !this.#isGone(way, session, id)) held += message.arrived;
      }
    }
    return held;
  }
}

/** The state of one side that concerns the whole connection. */
class AuditedEnd {
  greeted = false;
  closed = false;
  own: Frame['meta'] | undefined;
  greeting: Frame['meta'] | undefined;
  /** Sequenced frames that this side has written, and that it has received. */
  sent = 0;
  received = 0;
  /** Octets of message frames that this side has received. */
  arrived = 0;
  lastSession = 0;
  opened = 0;
  opens = 0;
  readonly bytes: Window = { used: 0, limit: 0 };
  /** The limits that this side has written. Their CREDIT may still be on its way. */
  grantedOpens = 0;
  grantedBytes = 0;
}

/** The text with which the library rejects a message whose handler is too late. */
const LATE = 'The handler neither accepted nor rejected the message in time.';

function advance(id: number, count: number): number {
  return count === 0 ? id : ((id - 1 + count) % MAX_ID) + 1;
}

function use(window: Window, bytes: number, whose: string): void {
  window.used = addBytes(window.used, bytes);
  const room = bytesBetween(window.used, window.limit);
  assert(room >= 0, `${-room} octets beyond the credit of the ${whose}.`);
}

function isMessageFrame(type: number): boolean {
  return type >= FrameType.SEND && type <= FrameType.CANCEL;
}

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
