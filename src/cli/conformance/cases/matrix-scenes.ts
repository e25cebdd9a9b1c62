/** Messages in each state of the matrix of PROTOCOL.md, §7.9, at the implementation that reads the next frame. */
import { Flag, FrameType } from '../../../wire/index.js';
import { converse, type Conversation } from '../conversation.js';
import { NARROW } from '../limits.js';
import { demand, Skip } from '../mismatch.js';
import {
  accept,
  cancel,
  end,
  frame,
  inFragments,
  opened,
  pattern,
  reject,
  send,
} from '../octets.js';
import type { Subject } from '../subject.js';

const { ITEM } = FrameType;
const { MORE, ONEWAY, REPLY, STREAM } = Flag;
const LEAST = Buffer.alloc(4096, 'a');
/** An application's own code. */
const ABORT = 0x9001;
/**
 * An implementation may forget a message after many more messages. A case that would have to send more than this
 * number is skipped.
 */
const MOST_MESSAGES = 1000;

/**
 * The assumptions of a row: SEND had STREAM, a message or settlement is incomplete, or items of the answer were
 * written.
 */
export interface Variant {
  readonly stream?: boolean;
  readonly partial?: boolean;
  readonly answered?: boolean;
}

/** A message, and its session. The id of the message is 1. */
export interface Scene {
  readonly conversation: Conversation;
  readonly session: number;
}

type Make = (subject: Subject, variant: Variant) => Promise<Scene>;

/** The columns of the matrix. */
export type Column = keyof typeof atReceiver;

async function fresh(subject: Subject, { answered }: Variant): Promise<Scene> {
  // The credit allows two items at once. The third item waits.
  const sessionCredit = { messages: 1024, bytes: 2 ** 26, items: 2 };
  const conversation = await converse(subject, answered === true ? { sessionCredit } : {});
  const session = await conversation.open(answered === true ? 't.stream' : 't.slow');
  return { conversation, session };
}

const flagOf = ({ stream }: Variant): number => (stream === true ? STREAM : 0);

async function running(subject: Subject, variant: Variant): Promise<Scene> {
  const scene = await fresh(subject, variant);
  const { conversation, session } = scene;
  const { peer } = conversation;
  peer.write(send(session, 1, { flags: flagOf(variant), payload: '3' }));
  if (variant.answered === true) {
    await peer.frame(ITEM, session);
    await peer.frame(ITEM, session);
  }
  if (variant.partial === true) {
    peer.write(frame(ITEM, { session, id: 1, flags: MORE, payload: LEAST }));
  }
  await peer.fence();
  return scene;
}

async function settled(subject: Subject, variant: Variant): Promise<Scene> {
  const { conversation, session } = await running(subject, variant);
  if (variant.answered === true) {
    // Reads the rest of the items, and then the settlement.
    conversation.peer.write(
      frame(FrameType.CREDIT, { session, id: 1, payload: Buffer.from([0, 0, 0, 3]) }),
    );
    await conversation.settlement(session, 1);
    return { conversation, session };
  }
  const other = await conversation.open('t.slow');
  conversation.peer.write(send(other, 1, { payload: 'go' }));
  await conversation.accepts(session, 1, '3');
  return { conversation, session };
}

/** The suite has sent the message. */
export const atReceiver = {
  unused: fresh,
  unfinished: async (subject: Subject, variant: Variant) => {
    const scene = await fresh(subject, variant);
    const flags = flagOf(variant) | MORE;
    scene.conversation.peer.write(send(scene.session, 1, { flags, payload: LEAST }));
    return scene;
  },
  running,
  cut: async (subject: Subject, variant: Variant) => {
    const scene = await fresh(subject, variant);
    const { conversation, session } = scene;
    const total = conversation.peer.limits.maxMessage + 1;
    const flags = flagOf(variant) | MORE;
    conversation.peer.write(send(session, 1, { flags, meta: { total }, payload: LEAST }));
    await conversation.rejects(session, 1);
    return scene;
  },
  settled,
  forgotten: async (subject: Subject, variant: Variant) => {
    const scene = await settled(subject, variant);
    const { conversation, session } = scene;
    const { messages } = conversation.peer.limits;
    if (messages > MOST_MESSAGES) throw new Skip(`the credit is ${messages} messages`);
    for (let id = 2; id <= messages + 2; id += 1) {
      await conversation.deliver([send(session, id, { flags: STREAM, payload: '0' })]);
      if (variant.answered !== true) conversation.peer.write(cancel(session, id));
      await conversation.settlement(session, id);
    }
    return scene;
  },
  'one-way': async (subject: Subject, variant: Variant) => {
    const scene = await fresh(subject, variant);
    scene.conversation.peer.write(send(scene.session, 1, { flags: ONEWAY }));
    await scene.conversation.peer.fence();
    return scene;
  },
  CLOSED: async (subject: Subject, variant: Variant) => {
    const scene = await running(subject, variant);
    scene.conversation.peer.write(end(scene.session, ABORT));
    await scene.conversation.peer.frame(FrameType.END, scene.session);
    return scene;
  },
} satisfies Record<string, Make>;

async function asked(subject: Subject, { partial }: Variant): Promise<Scene> {
  const conversation = await converse(subject);
  const { back } = await conversation.reversed();
  const flags = REPLY | MORE;
  if (partial === true) conversation.peer.write(accept(back, 1, { flags, payload: LEAST }));
  return { conversation, session: back };
}

/** The implementation has written a part of a message in `t.back`, and waits for credit. */
async function uploading(subject: Subject, { partial }: Variant): Promise<Scene & { own: number }> {
  const conversation = await converse(subject, NARROW);
  const { own, back } = await conversation.reverse();
  const { peer } = conversation;
  const size = Math.min(50_000, peer.limits.effectiveMaxMessage);
  peer.write(opened(back));
  await conversation.deliver(
    inFragments(FrameType.SEND, { session: own, id: 1 }, pattern(size), 16_384),
  );
  const { flags } = await peer.frame(FrameType.SEND, back);
  demand((flags & MORE) !== 0, 'SEND with MORE: the credit is 32768 octets', flags);
  if (partial === true) {
    peer.write(accept(back, 1, { flags: REPLY | MORE, payload: LEAST }));
  }
  return { conversation, session: back, own };
}

/** The implementation has sent the message in `t.back`. */
export const atSender = {
  unused: async (subject: Subject) => {
    const conversation = await converse(subject);
    const { back } = await conversation.reverse();
    conversation.peer.write(opened(back));
    return { conversation, session: back };
  },
  unfinished: uploading,
  running: asked,
  cut: async (subject: Subject) => {
    const { conversation, session, own } = await uploading(subject, {});
    conversation.peer.write(reject(session, 1, 0x9001));
    await conversation.rejects(own, 1);
    return { conversation, session };
  },
  settled: async (subject: Subject) => {
    const { conversation, session } = await asked(subject, {});
    conversation.peer.write(accept(session, 1));
    await conversation.peer.fence();
    return { conversation, session };
  },
  forgotten: async (subject: Subject) => {
    const conversation = await converse(subject);
    const { own, back } = await conversation.reversed();
    conversation.peer.write(accept(back, 1));
    await conversation.accepts(own, 1, '');
    for (let id = 2; id <= 5; id += 1) {
      await conversation.deliver([send(own, id)]);
      await conversation.message(back);
      conversation.peer.write(accept(back, id));
      await conversation.accepts(own, id, '');
    }
    return { conversation, session: back };
  },
  'one-way': async (subject: Subject) => {
    const conversation = await converse(subject);
    const { back } = await conversation.reversed({ flags: ONEWAY, payload: 'x' });
    return { conversation, session: back };
  },
  CLOSED: async (subject: Subject, variant: Variant) => {
    const scene = await asked(subject, variant);
    scene.conversation.peer.write(end(scene.session, ABORT));
    await scene.conversation.peer.frame(FrameType.END, scene.session);
    return scene;
  },
} satisfies Record<Column, Make>;
