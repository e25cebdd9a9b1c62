/** The scenes of the specs in this folder: one machine, and the frames of a peer that are written by hand. */
import { creditPayload, Flag, FrameType } from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import type { OpenOptions, SideOptions } from '../../support/sim/sim-side.js';
import { SimPeer } from '../../support/sim/sim-peer.js';
import type { SendOptions, SimSend, SimSession } from '../../support/sim/sim-application.js';

/** The least payload of a frame with MORE. */
export const LEAST = Buffer.alloc(4096);
/** The MAX_MESSAGE of the machine. */
export const MAX_MESSAGE = 20_000;
/** The payload of a message that takes several frames, and more credit than a session has at first. */
export const LARGE = Buffer.alloc(300_000);
/** The code of an application that aborts a session. */
export const ABORTED = 0x9001;
/** The number of useless frames that a side may read at once. */
const FLOOD_BUDGET = 1000;

const MACHINE = { idle: 0, items: 4, messages: 4, maxMessage: MAX_MESSAGE };
/** The limits of the peer. The credit of a session is two frames, so that a large message waits for more. */
const PEER = { idle: 0, items: 2, sessionBytes: 2 * 65_536 };

type PeerLimits = Parameters<typeof SimPeer.greeted>[2];

export function greeted(limits: SideOptions['limits'] = {}, peer: PeerLimits = {}): SimPeer {
  return SimPeer.greeted('listener', { limits: { ...MACHINE, ...limits } }, { ...PEER, ...peer });
}

/** A session of the peer that the application of the machine has accepted. It has the number 1. */
export function receiver(limits: SideOptions['limits'] = {}, peerLimits: PeerLimits = {}): SimPeer {
  const peer = greeted(limits, peerLimits);
  peer.send(OPEN);
  peer.lines();
  return peer;
}

/** A session of the peer on which the application of the machine has not decided. It has the number 1. */
export function pending(meta: FrameInit['meta'] = {}): SimPeer {
  const peer = greeted();
  peer.side.onSession = () => undefined;
  peer.send({ ...OPEN, meta: { ...OPEN.meta, ...meta } });
  peer.lines();
  return peer;
}

/** A session of the machine whose OPEN is written. It has the number 2. */
export function opening(options: OpenOptions = {}, limits: PeerLimits = {}): Opened {
  const peer = greeted({}, limits);
  const session = peer.side.session('ours', options);
  peer.flush();
  peer.lines();
  return { peer, session };
}

/** A session of the machine that the peer has accepted. It has the number 2. */
export function opened(limits: PeerLimits = {}): Opened {
  const scene = opening({}, limits);
  scene.peer.send(OPENED);
  return scene;
}

/** A message of the machine in a session of its own. The machine has written as much as it has credit for. */
export function sending(payload: Buffer | string, options: SendOptions = {}): Sent {
  const { peer, session } = opened();
  const message = session.send(payload, { takesItems: true, ...options });
  peer.flush();
  peer.lines();
  return { peer, session, message };
}

export interface Opened {
  readonly peer: SimPeer;
  readonly session: SimSession;
}

export interface Sent extends Opened {
  readonly message: SimSend;
}

export const OPEN = { type: FrameType.OPEN, session: 1, meta: { name: 'theirs' } };
export const OPENED: FrameInit = { type: FrameType.OPENED, session: 2 };

/** A frame of the peer for its own message in session 1. */
export function theirs(type: number, id = 1, rest: Partial<FrameInit> = {}): FrameInit {
  return { type, session: 1, id, ...rest };
}

/** A SEND of the peer with the first octets of its message: FRAGs follow. */
export function unfinished(id = 1, rest: Partial<FrameInit> = {}): FrameInit {
  const { flags = 0 } = rest;
  return theirs(FrameType.SEND, id, { payload: LEAST, ...rest, flags: flags | Flag.MORE });
}

/** A frame of the peer for the machine's message in session 2. */
export function answer(type: number, rest: Partial<FrameInit> = {}): FrameInit {
  const meta = type === FrameType.REJECT ? { code: 0x0501 } : {};
  const { flags = 0 } = rest;
  return { type, session: 2, id: 1, meta, ...rest, flags: flags | Flag.REPLY };
}

export function end(session: number, code = 0): FrameInit {
  return { type: FrameType.END, session, meta: code === 0 ? {} : { code } };
}

/** The CREDIT of a session: messages and octets. */
export function credit(session: number, messages: number, bytes = 0): FrameInit {
  return { type: FrameType.CREDIT, session, payload: creditPayload(messages, bytes) };
}

/** The CREDIT of a stream of message 1. */
export function itemCredit(session: number, items: number, flags: number): FrameInit {
  return { type: FrameType.CREDIT, session, id: 1, flags, payload: creditPayload(items) };
}

/** What the machine has written since the last look, without CREDIT, and without the words of a reason. */
export function written(peer: SimPeer): string[] {
  return peer
    .lines()
    .filter((line) => !line.startsWith('CREDIT'))
    .map((line) => line.replace(/ text="(?:[^"\\]|\\.)*"/, ''));
}

/** From here on, each useless frame is one too many. */
export function spendFloodBudget(peer: SimPeer): void {
  for (let left = FLOOD_BUDGET; left > 0; left--) peer.send({ type: FrameType.PONG, id: 9 });
}

/** The name of the code, if the machine answers the frame by CLOSE. */
export function closeAfter(peer: SimPeer, frame: FrameInit): string | undefined {
  peer.send(frame);
  return peer.closeCode;
}
