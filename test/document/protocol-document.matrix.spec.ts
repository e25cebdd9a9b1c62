/**
 * The matrix of PROTOCOL.md, §7.9: each cell is read from the document, and shown at a machine. A frame is sent to a
 * message in the state of its column, once with the whole flood budget and once with none.
 */
import { describe, expect, it } from '@jest/globals';
import { Code, creditPayload, Flag, FrameType } from '../../src/wire/index.js';
import type { FrameInit } from '../support/codec/frame-log.js';
import { table } from '../support/protocol-document.js';
import { SimPeer } from '../support/sim/sim-peer.js';

const { MORE, REPLY, ONEWAY, STREAM } = Flag;
const { OPEN, OPENED, END, SEND, FRAG, ITEM, ACCEPT, REJECT, CANCEL, CREDIT, PONG } = FrameType;
const LEAST = Buffer.alloc(4096);
const MAX_MESSAGE = 20_000;
/** Messages that one side may have unsettled. As many later ones settle a message into oblivion. */
const MESSAGES = 4;
const FLOOD_BUDGET = 1000;

/** What stands in the way of a row's frame: its SEND had STREAM, a unit is amid its fragments, items were written. */
interface Variant {
  readonly stream?: boolean;
  readonly partial?: boolean;
  readonly answered?: boolean;
}

/** A message in some state, at the machine that reads the row's frame. */
type Scene = (variant: Variant) => SimPeer;

const send = (id: number, rest: Partial<FrameInit> = {}): FrameInit => ({
  type: SEND,
  session: 1,
  id,
  ...rest,
});
const abort: FrameInit = { type: END, session: 1, meta: { code: 0x9001 } };

/** A listener with an empty session of its peer. */
function receiver(): SimPeer {
  const limits = { items: 4, messages: MESSAGES, maxMessage: MAX_MESSAGE };
  const peer = SimPeer.greeted('listener', { limits }, { items: 2 });
  peer.send({ type: OPEN, session: 1, meta: { name: 'theirs' } });
  return peer;
}

function running({ stream, partial, answered }: Variant): SimPeer {
  const peer = receiver();
  peer.send(send(1, { flags: stream === true ? STREAM : 0 }));
  if (partial === true) peer.send({ ...send(1), type: ITEM, flags: MORE, payload: LEAST });
  if (answered === true) peer.side.last.last.stream(['a', 'b', 'c'], () => undefined);
  peer.flush();
  return peer;
}

function settled(variant: Variant): SimPeer {
  const peer = running({ ...variant, answered: false });
  if (variant.answered === true) peer.side.last.last.stream(['a']);
  else peer.side.last.last.accept();
  peer.flush();
  return peer;
}

/** The message that the frames of the peer name is one that the peer has sent. */
const atReceiver: Record<string, Scene> = {
  unused: receiver,
  unfinished: ({ stream }) => {
    const peer = receiver();
    peer.send(send(1, { flags: (stream === true ? STREAM : 0) | MORE, payload: LEAST }));
    return peer;
  },
  running,
  cut: ({ stream }) => {
    const peer = receiver();
    const flags = (stream === true ? STREAM : 0) | MORE;
    peer.send(send(1, { flags, meta: { total: MAX_MESSAGE + 1 }, payload: LEAST }));
    return peer;
  },
  settled,
  forgotten: (variant) => {
    const peer = settled(variant);
    for (let id = 2; id <= MESSAGES + 2; id++) {
      peer.send(send(id, { flags: STREAM }));
      peer.side.last.last.accept();
      peer.flush();
    }
    return peer;
  },
  'one-way': () => {
    const peer = receiver();
    peer.send(send(1, { flags: ONEWAY }));
    return peer;
  },
  CLOSED: (variant) => {
    const peer = running(variant);
    peer.send(abort);
    return peer;
  },
};

const answer = (type: number, rest: Partial<FrameInit> = {}): FrameInit => {
  const meta = type === REJECT ? { code: Code.FAILED } : {};
  return { type, session: 2, id: 1, flags: REPLY, meta, ...rest };
};

/** A listener that has opened a session, which the peer has accepted. */
function sender(): SimPeer {
  const limits = { items: 4, maxMessage: MAX_MESSAGE };
  const peer = SimPeer.greeted('listener', { limits }, { items: 2, sessionBytes: 2 * 65_536 });
  peer.side.session('ours');
  peer.flush();
  peer.send({ type: OPENED, session: 2 });
  return peer;
}

function sent({ stream, partial }: Variant, size = 1): SimPeer {
  const peer = sender();
  const items = stream === true ? { items: ['1', '2', '3', '4', '5', '6', '7'] } : {};
  const message = peer.side.sessions[0]?.send(Buffer.alloc(size), { ...items, takesItems: true });
  if (message !== undefined) message.reads = false;
  peer.flush();
  if (partial === true) peer.send(answer(ACCEPT, { flags: REPLY | MORE, payload: LEAST }));
  return peer;
}

function ended(variant: Variant, size?: number): SimPeer {
  const peer = sent({ ...variant, partial: false }, size);
  peer.send(answer(REJECT));
  return peer;
}

/** The message that the frames of the peer name is one that the machine has sent. */
const atSender: Record<string, Scene> = {
  unused: sender,
  unfinished: (variant) => sent(variant, 300_000),
  running: (variant) => sent(variant),
  cut: (variant) => ended(variant, 300_000),
  settled: (variant) => ended(variant),
  forgotten: (variant) => {
    const peer = ended(variant);
    for (let id = 2; id <= MESSAGES + 2; id++) {
      peer.side.sessions[0]?.send('x');
      peer.flush();
      peer.send(answer(ACCEPT, { id }));
    }
    return peer;
  },
  'one-way': () => {
    const peer = sender();
    peer.side.sessions[0]?.send('x', { oneWay: true });
    peer.flush();
    return peer;
  },
  CLOSED: (variant) => {
    const peer = sent(variant);
    peer.send({ ...abort, session: 2 });
    return peer;
  },
};

/** How each row of the document is shown. */
interface Row {
  readonly scenes: Record<string, Scene>;
  readonly frames: readonly FrameInit[];
  readonly variant?: Variant;
  /** Goes before the frame. */
  readonly before?: (peer: SimPeer) => void;
  /** Goes after it, where its effect shows later. */
  readonly after?: (peer: SimPeer) => void;
}

const credit = (flags: number, session: number): FrameInit => ({
  type: CREDIT,
  session,
  id: 1,
  flags,
  payload: creditPayload(9),
});

const rows: Record<string, Row> = {
  SEND: { scenes: atReceiver, frames: [send(1)] },
  'FRAG of no ITEM': {
    scenes: atReceiver,
    frames: [{ ...send(1), type: FRAG, flags: MORE, payload: LEAST }],
  },
  'FRAG of an ITEM': {
    scenes: atReceiver,
    variant: { stream: true, partial: true },
    frames: [{ ...send(1), type: FRAG, flags: MORE, payload: LEAST }],
  },
  'ITEM, with STREAM on SEND': {
    scenes: atReceiver,
    variant: { stream: true },
    frames: [{ ...send(1), type: ITEM, payload: Buffer.from('x') }],
  },
  'ITEM, without STREAM on SEND': {
    scenes: atReceiver,
    frames: [{ ...send(1), type: ITEM, payload: Buffer.from('x') }],
  },
  'CANCEL, the first': { scenes: atReceiver, frames: [{ ...send(1), type: CANCEL }] },
  'CANCEL, the second': {
    scenes: atReceiver,
    frames: [{ ...send(1), type: CANCEL }],
    before: (peer) => {
      // As many as there are messages in the session.
      const { lastId } = peer.side.last.machine.receiver;
      for (let count = 0; count < lastId; count++) peer.send({ ...send(1), type: CANCEL });
    },
  },
  'CREDIT, items were written': {
    scenes: atReceiver,
    variant: { answered: true },
    frames: [credit(0, 1)],
  },
  'CREDIT, no item was written': { scenes: atReceiver, frames: [credit(0, 1)] },
  'ITEM with REPLY': {
    scenes: atSender,
    frames: [answer(ITEM, { payload: Buffer.from('x') })],
  },
  'FRAG with REPLY of a unit': {
    scenes: atSender,
    variant: { partial: true },
    frames: [answer(FRAG, { flags: REPLY | MORE, payload: LEAST })],
  },
  'FRAG with REPLY of no unit': {
    scenes: atSender,
    frames: [answer(FRAG, { payload: LEAST })],
  },
  'ACCEPT, REJECT': { scenes: atSender, frames: [answer(ACCEPT), answer(REJECT)] },
  'CREDIT with REPLY, with STREAM on SEND': {
    scenes: atSender,
    variant: { stream: true },
    frames: [credit(REPLY, 2)],
    // The SEND becomes whole, and its items follow.
    after: (peer) => {
      peer.send({ type: CREDIT, session: 2, payload: creditPayload(0, 2 ** 20) });
    },
  },
  'CREDIT with REPLY, without STREAM': { scenes: atSender, frames: [credit(REPLY, 2)] },
};

const columns = table('| column | at the receiver').map(([column = '']) => column);
const cells = table(`| frame | ${columns.join(' | ')} |`).flatMap(([row = '', ...reactions]) =>
  reactions.map((reaction, at) => ({ row, column: columns[at] ?? '', reaction })),
);

/** What an application, the other side, and the credit show of it. */
function shown(peer: SimPeer): unknown {
  const { side } = peer;
  const { connection } = side;
  return {
    status: side.status,
    lines: peer.lines().filter((line) => !line.startsWith('CREDIT')),
    held: connection.receiveWindow.held,
    sessions: side.sessions.map(({ status, messages, machine }) => ({
      status,
      unsettled: machine.unsettled,
      messages: messages.map(({ aborted, incoming }) => [aborted, incoming.responseItems?.isReady]),
      stuck: machine.receiver.unfinished().map(({ held }) => held),
      answers: [1].map((id) => machine.receiver.find(id)?.responseItems !== undefined),
      sends: [1].map((id) => {
        const message = machine.sender.find(id);
        return [
          message?.state,
          message?.partialSettlement?.arrived,
          message?.responseItems?.hasUnread,
        ];
      }),
    })),
  };
}

/** The code of the CLOSE that answers the frame; without one, all that is shown after it. */
function reactionTo(peer: SimPeer, frame: FrameInit | undefined, row: Row, budget: number): string {
  row.before?.(peer);
  for (let left = FLOOD_BUDGET; left > budget; left--) peer.send({ type: PONG, id: 9 });
  peer.lines();
  expect(peer.side.closed).toBeUndefined();
  if (frame !== undefined) peer.send(frame);
  if (peer.closeCode !== undefined) return peer.closeCode;
  row.after?.(peer);
  return JSON.stringify(shown(peer));
}

describe('The matrix of §7.9', () => {
  it('has rows and columns that are all shown, and no empty cell', () => {
    const names = new Set(cells.map(({ row }) => row));

    expect([...names].toSorted()).toEqual(Object.keys(rows).toSorted());
    expect(columns).toEqual(Object.keys(atReceiver));
    expect(columns).toEqual(Object.keys(atSender));
    expect(cells).toHaveLength(columns.length * names.size);
  });

  it.each(cells)('$row, $column: $reaction [IC-7.9]', ({ row, column, reaction }) => {
    if (reaction === '–') return;
    const way = rows[row]!;
    const scene = (): SimPeer => way.scenes[column]!(way.variant ?? {});
    const without = reactionTo(scene(), undefined, way, FLOOD_BUDGET);
    for (const frame of way.frames) {
      const results = [FLOOD_BUDGET, 0].map((budget) => {
        const result = reactionTo(scene(), frame, way, budget);
        if (!result.startsWith('{')) return result;
        return result === without ? 'nothing' : 'something';
      });

      const expected = {
        take: ['something', 'something'],
        ignore: ['nothing', 'nothing'],
        count: ['nothing', 'CALM'],
        PROTOCOL: ['PROTOCOL', 'PROTOCOL'],
      }[reaction];
      expect(results).toEqual(expected);
    }
  });
});
