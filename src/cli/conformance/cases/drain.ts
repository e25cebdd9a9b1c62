/** GOAWAY: a draining side accepts nothing new, and finishes the sessions and messages that have begun. */
import { Code, Flag, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse, type Conversation } from '../conversation.js';
import { demand } from '../mismatch.js';
import { accept, cancel, frag, frame, open, opened, send } from '../octets.js';
import type { Subject } from '../subject.js';
import { harmless, violation } from './rows.js';

const { CLOSE, END, GOAWAY, OPEN, SEND } = FrameType;
const goaway = (code: number = Code.DRAINING): Buffer => frame(GOAWAY, { meta: { code } });

/** The implementation drains, and cannot finish: its handler holds one message in the session `slow`. */
async function draining(
  subject: Subject,
): Promise<{ readonly conversation: Conversation; readonly slow: number }> {
  const conversation = await converse(subject);
  const { peer } = conversation;
  const slow = await conversation.open('t.slow');
  const session = await conversation.open('t.close');
  peer.write(send(slow, 1), send(session, 1, { payload: 'drain' }));
  await peer.frame(GOAWAY);
  await conversation.accepts(session, 1, '');
  return { conversation, slow };
}

export const drainCases: readonly ConformanceCase[] = [
  harmless('malformed/M86.a', ['6.16', '12.3'], 'a second GOAWAY, with another code', () => [
    goaway(),
    goaway(Code.OK),
  ]),
  violation(
    'malformed/M86.b',
    ['15.1'],
    '5000 times GOAWAY',
    () => Array.from({ length: 5000 }, () => goaway()),
    'CALM',
  ),
  {
    id: 'malformed/M87.a',
    clauses: ['12.1'],
    sentence: 'OPEN after the implementation has sent GOAWAY: END(DRAINING)',
    run: async (subject) => {
      const { conversation } = await draining(subject);
      const session = conversation.nextSession();
      conversation.peer.write(open(session, 't.echo'));
      const { meta } = await conversation.peer.frame(END, session);
      demand(meta.code === Code.DRAINING, 'END(DRAINING)', `END(${meta.code})`);
    },
  },
  {
    id: 'malformed/M87.b',
    clauses: ['12.1', '6.42'],
    sentence: 'SEND after the implementation has sent GOAWAY: REJECT(MESSAGE_DRAINING)',
    run: async (subject) => {
      const { conversation, slow } = await draining(subject);
      conversation.peer.write(send(slow, 2));
      await conversation.rejects(slow, 2, Code.MESSAGE_DRAINING);
    },
  },
  {
    id: 'drain/closes',
    clauses: ['12.2', '12.6'],
    sentence: 'a drain with nothing left to finish, and all frames acknowledged: CLOSE(OK)',
    run: async (subject) => {
      const { conversation, slow } = await draining(subject);
      const { peer } = conversation;
      peer.write(cancel(slow, 1));
      await conversation.rejects(slow, 1);
      peer.acknowledge();
      await peer.closes(Code.OK);
    },
  },
  {
    id: 'drain/waits-for-settlements',
    clauses: ['12.2', '12.6'],
    sentence: 'a drain goes on while a handler runs, and answers PING',
    run: async (subject) => {
      const { conversation, slow } = await draining(subject);
      const { peer } = conversation;
      peer.acknowledge();
      await peer.lull();
      peer.write(cancel(slow, 1));
      await conversation.rejects(slow, 1);
    },
  },
  {
    id: 'drain/waits-for-one-way',
    clauses: ['12.6'],
    sentence: 'a drain goes on while the handler of a one-way message runs',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const slow = await conversation.open('t.slow');
      const session = await conversation.open('t.close');
      peer.write(send(slow, 1, { flags: Flag.ONEWAY }), send(session, 1, { payload: 'drain' }));
      await peer.frame(GOAWAY);
      await conversation.accepts(session, 1, '');
      peer.acknowledge();
      await peer.lull();
      peer.write(cancel(slow, 1));
      peer.acknowledge();
      await peer.closes(Code.OK);
    },
  },
  {
    id: 'drain/waits-for-acknowledgement',
    clauses: ['12.6'],
    sentence: 'a draining implementation does not close until its last frames are acknowledged',
    run: async (subject) => {
      const { conversation, slow } = await draining(subject);
      const { peer } = conversation;
      peer.write(cancel(slow, 1));
      await conversation.rejects(slow, 1);
      await peer.lull();
      peer.acknowledge();
      await peer.closes(Code.OK);
    },
  },
  {
    id: 'drain/upload',
    clauses: ['12.2'],
    sentence: 'an upload that had begun before GOAWAY goes on, and is settled',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const echo = await conversation.open('t.echo');
      const session = await conversation.open('t.close');
      const part = Buffer.alloc(4096, 'a');
      peer.write(
        send(echo, 1, { flags: Flag.MORE, payload: part }),
        send(session, 1, { payload: 'drain' }),
      );
      await peer.frame(GOAWAY);
      peer.write(frag(echo, 1, { payload: 'end' }));
      await conversation.accepts(echo, 1, Buffer.concat([part, Buffer.from('end')]));
      await conversation.accepts(session, 1, '');
      peer.acknowledge();
      await peer.closes(Code.OK);
    },
  },
  {
    id: 'drain/obeyed',
    clauses: ['12.3', '6.16'],
    sentence:
      'after a GOAWAY of the suite, the implementation begins nothing, and still serves the sessions of the suite',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const { own, back } = await conversation.reverse();
      peer.write(opened(back), goaway(), send(own, 1, { payload: 'not any more' }));
      // A dialer may send the message on another connection, so the suite expects no settlement of it.
      peer.write(open(conversation.nextSession(), 't.reverse'));
      await conversation.stillWorks();
      await peer.lull();
      const begun = peer.frames.find(({ type }) => type === SEND || type === OPEN);
      demand(begun === undefined, 'neither OPEN nor SEND', `type ${begun?.type}`);
    },
  },
  {
    id: 'drain/begun-goes-on',
    clauses: ['12.3'],
    sentence: 'a message of the implementation that had begun before GOAWAY is still settled',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { own, back } = await conversation.reversed();
      conversation.peer.write(goaway(), accept(back, 1, { payload: 'done' }));
      await conversation.accepts(own, 1, 'done');
      await conversation.peer.lull();
      const closed = conversation.peer.frames.some(({ type }) => type === CLOSE);
      demand(!closed, 'no CLOSE', 'CLOSE');
    },
  },
];
