/** Kinds of cases in which only the octets and the expected reaction differ. */
import { Code, codeName, encodePreface, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse, type Conversation } from '../conversation.js';
import { frame, type FrameParts } from '../octets.js';
import type { Peer } from '../peer.js';

type CodeName = keyof typeof Code;

/** The start of each case: an open session `t.echo` without messages. */
export interface Ground {
  readonly conversation: Conversation;
  readonly peer: Peer;
  readonly session: number;
}

type Octets = (ground: Ground) => readonly Buffer[] | Promise<readonly Buffer[]>;

/** A case whose octets, after the handshake, must be answered by CLOSE with one of the codes. */
export function violation(
  id: string,
  clauses: readonly string[],
  input: string,
  octets: Octets,
  ...codes: readonly CodeName[]
): ConformanceCase {
  return {
    id,
    clauses: ['1.2', ...clauses],
    sentence: `${input}: ${closeWith(codes)}`,
    run: async (subject) => {
      const ground = await prepare(await converse(subject));
      ground.peer.write(...(await octets(ground)));
      await ground.peer.closes(...codes.map((name) => Code[name]));
    },
  };
}

/** A case whose octets, after the handshake, must change nothing. */
export function harmless(
  id: string,
  clauses: readonly string[],
  input: string,
  octets: Octets,
): ConformanceCase {
  return {
    id,
    clauses,
    sentence: `${input}: the connection goes on`,
    run: async (subject) => {
      const ground = await prepare(await converse(subject));
      ground.peer.write(...(await octets(ground)));
      await ground.peer.fence();
      await ground.conversation.stillWorks();
    },
  };
}

/**
 * A case about a HELLO (for a listener) or a WELCOME (for a dialer). It must be answered by CLOSE with the code, or
 * be accepted if `code` is `'taken'`.
 */
export function greeting(
  id: string,
  clauses: readonly string[],
  input: string,
  parts: FrameParts,
  code: CodeName | 'taken',
): ConformanceCase {
  const reaction = code === 'taken' ? 'the connection stands' : closeWith([code]);
  return {
    id,
    clauses,
    sentence: `HELLO or WELCOME ${input}: ${reaction}`,
    run: async (subject) => {
      const peer = await subject.connect();
      const isListener = subject.role === 'listener';
      if (!isListener) await peer.frame(FrameType.HELLO);
      peer.write(encodePreface(), frame(isListener ? FrameType.HELLO : FrameType.WELCOME, parts));
      if (code !== 'taken') await peer.closes(Code[code]);
      else if (isListener) await peer.frame(FrameType.WELCOME);
      else await peer.frame(FrameType.OPEN);
    },
  };
}

async function prepare(conversation: Conversation): Promise<Ground> {
  const session = await conversation.open('t.echo');
  return { conversation, peer: conversation.peer, session };
}

function closeWith(codes: readonly CodeName[]): string {
  return `CLOSE(${codes.map((name) => codeName(Code[name])).join(' or ')})`;
}
