/**
 * The matrix of PROTOCOL.md, §7.9: each frame in each state of its message. The reactions are repeated here, so that
 * the suite depends on no code of an implementation. A test of this package compares them with PROTOCOL.md.
 */
import { Code, Flag, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { demandCode } from '../mismatch.js';
import { accept, cancel, frag, frame, ping, send, u32 } from '../octets.js';
import type { Peer } from '../peer.js';
import { atReceiver, atSender, type Column, type Scene, type Variant } from './matrix-scenes.js';

const { CLOSE, CREDIT, ITEM, PONG } = FrameType;
const { MORE, REPLY } = Flag;
const LEAST = Buffer.alloc(4096, 'a');

type Reaction = 'take' | 'ignore' | 'count' | 'PROTOCOL' | '–';

export interface MatrixRow {
  /** The title of the row, as in PROTOCOL.md. */
  readonly row: string;
  /** The part of the case names that stands for this row. */
  readonly name: string;
  readonly scenes: typeof atReceiver | typeof atSender;
  readonly variant?: Variant;
  readonly frames: (scene: Scene) => readonly Buffer[];
  /** One reaction for each column, in the order of `COLUMNS`. */
  readonly reactions: readonly Reaction[];
}

export const COLUMNS: readonly Column[] = [
  'unused',
  'unfinished',
  'running',
  'cut',
  'settled',
  'forgotten',
  'one-way',
  'CLOSED',
];

type Frames = MatrixRow['frames'];

const item =
  (flags = 0): Frames =>
  ({ session }) => [frame(ITEM, { session, id: 1, flags, payload: 'x' })];
const credit =
  (flags = 0): Frames =>
  ({ session }) => [frame(CREDIT, { session, id: 1, flags, payload: u32(2000) })];
const fragment =
  (flags: number): Frames =>
  ({ session }) => [frag(session, 1, { flags, payload: LEAST })];

/** One row about request streams is left out, because no session of the fixture sends a request stream. */
export const MATRIX: readonly MatrixRow[] = [
  {
    row: 'SEND',
    name: 'send',
    scenes: atReceiver,
    frames: ({ session }) => [send(session, 1)],
    reactions: [
      'take',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'ignore',
    ],
  },
  {
    row: 'FRAG of no ITEM',
    name: 'frag',
    scenes: atReceiver,
    frames: fragment(MORE),
    reactions: [
      'PROTOCOL',
      'take',
      'PROTOCOL',
      'ignore',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'ignore',
    ],
  },
  {
    row: 'FRAG of an ITEM',
    name: 'frag-of-item',
    scenes: atReceiver,
    variant: { stream: true, partial: true },
    frames: fragment(MORE),
    reactions: ['–', '–', 'take', '–', 'ignore', 'PROTOCOL', '–', 'ignore'],
  },
  {
    row: 'ITEM, with STREAM on SEND',
    name: 'item',
    scenes: atReceiver,
    variant: { stream: true },
    frames: item(),
    reactions: ['PROTOCOL', 'PROTOCOL', 'take', 'PROTOCOL', 'ignore', 'count', '–', 'ignore'],
  },
  {
    row: 'ITEM, without STREAM on SEND',
    name: 'item-without-stream',
    scenes: atReceiver,
    frames: item(),
    reactions: [
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'count',
      'count',
      'PROTOCOL',
      'ignore',
    ],
  },
  {
    row: 'CANCEL, the first',
    name: 'cancel',
    scenes: atReceiver,
    frames: ({ session }) => [cancel(session, 1)],
    reactions: ['PROTOCOL', 'take', 'take', 'ignore', 'ignore', 'ignore', 'take', 'ignore'],
  },
  {
    row: 'CANCEL, the second',
    name: 'cancel-again',
    scenes: atReceiver,
    frames: ({ session }) => [cancel(session, 1), cancel(session, 1)],
    reactions: ['–', '–', 'count', 'count', 'count', 'count', 'count', 'ignore'],
  },
  {
    row: 'CREDIT, items were written',
    name: 'item-credit',
    scenes: atReceiver,
    variant: { answered: true },
    frames: credit(),
    reactions: ['–', '–', 'take', '–', 'ignore', 'count', '–', 'ignore'],
  },
  {
    row: 'CREDIT, no item was written',
    name: 'item-credit-early',
    scenes: atReceiver,
    frames: credit(),
    reactions: ['PROTOCOL', 'take', 'take', 'count', 'count', 'count', 'PROTOCOL', 'ignore'],
  },
  {
    row: 'ITEM with REPLY',
    name: 'item-reply',
    scenes: atSender,
    frames: item(REPLY),
    reactions: [
      'PROTOCOL',
      'take',
      'take',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'ignore',
    ],
  },
  {
    row: 'FRAG with REPLY of a unit',
    name: 'frag-reply',
    scenes: atSender,
    variant: { partial: true },
    frames: fragment(REPLY | MORE),
    reactions: ['–', 'take', 'take', '–', '–', '–', '–', 'ignore'],
  },
  {
    row: 'FRAG with REPLY of no unit',
    name: 'frag-reply-of-nothing',
    scenes: atSender,
    frames: fragment(REPLY),
    reactions: [
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'PROTOCOL',
      'ignore',
    ],
  },
  {
    row: 'ACCEPT, REJECT',
    name: 'settlement',
    scenes: atSender,
    frames: ({ session }) => [accept(session, 1)],
    reactions: ['PROTOCOL', 'take', 'take', 'count', 'count', 'count', 'count', 'ignore'],
  },
  {
    row: 'CREDIT with REPLY, without STREAM',
    name: 'credit-reply',
    scenes: atSender,
    frames: credit(REPLY),
    reactions: ['PROTOCOL', 'count', 'count', 'count', 'count', 'count', 'count', 'ignore'],
  },
];

export const matrixCases: readonly ConformanceCase[] = MATRIX.flatMap((each) =>
  COLUMNS.flatMap((column, at) => {
    const reaction = each.reactions[at] ?? '–';
    return reaction === '–' ? [] : [cellOf(each, column, reaction)];
  }),
);

function cellOf(
  { row, name, scenes, variant = {}, frames, reactions }: MatrixRow,
  column: Column,
  reaction: Reaction,
): ConformanceCase {
  const isViolation = reaction === 'PROTOCOL';
  // An implementation need not forget a message. If it remembers the message, it reacts as for a settled one.
  const isOptional = column === 'forgotten' && reactions[COLUMNS.indexOf('settled')] !== reaction;
  return {
    id: `matrix/${name}.${column}`,
    clauses: isViolation ? ['1.2', '7.2'] : ['7.2'],
    sentence: `${row}; the message is ${column}: ${isViolation ? 'CLOSE(PROTOCOL)' : 'the connection goes on'}`,
    run: async (subject) => {
      const scene = await scenes[column](subject, variant);
      const { peer } = scene.conversation;
      peer.write(...frames(scene));
      if (isViolation && isOptional) return closesOrGoesOn(peer);
      if (isViolation) return void (await peer.closes(Code.PROTOCOL));
      await peer.fence();
      await scene.conversation.stillWorks();
    },
  };
}

/** Waits for either CLOSE(PROTOCOL) or PONG. PONG shows that the implementation ignored the frame. */
async function closesOrGoesOn(peer: Peer): Promise<void> {
  peer.write(ping(TOKEN));
  const answer = await peer.next(
    'CLOSE(PROTOCOL), or that the connection goes on',
    ({ type, id }) => type === CLOSE || (type === PONG && id === TOKEN),
  );
  if (answer.type === CLOSE) demandCode('CLOSE', answer.meta.code, Code.PROTOCOL);
}

const TOKEN = 77;
