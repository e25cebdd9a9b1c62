/**
 * An exchange between two applications over one connection, with everything that an application can do, and a record
 * of what each application saw. The record must be the same whatever happens to the sockets.
 */
import { createHash } from 'node:crypto';
import { Code, type Connection, InterconnectError, type Outcome } from 'nestjs-interconnect/core';
import { until } from '../events.js';

/** What each side saw. The order counts within each session. */
export type History = Record<string, string[]>;

/** Runs the exchange over two unused ends of a connection. `large`: bytes of the large messages. */
export async function exchange(
  dialer: Connection,
  acceptor: Connection,
  large: number,
): Promise<History> {
  const history: History = {};
  const note = (what: string, entry: string): void => void (history[what] ??= []).push(entry);
  note('data of the listener', dialer.data.toString());
  note('data of the dialer', acceptor.data.toString());
  serve('dialer', dialer, note);
  serve('listener', acceptor, note);
  await Promise.all([call('dialer', dialer, large, note), call('listener', acceptor, large, note)]);
  // One-way messages have no response to wait for.
  const heard = (): number => Object.values(history).flat().filter(isHint).length;
  await until(() => heard() === 2 * HINTS);
  return history;
}

type Note = (what: string, entry: string) => void;

/** Serves the sessions and messages of the other side. */
function serve(side: string, connection: Connection, note: Note): void {
  connection.on('session', (session) => {
    const what = `sessions of the other side, seen by the ${side}`;
    note(what, `${session.name} ${session.data.toString()}`);
    if (session.name === 'refused') return session.reject(Code.SESSION_FORBIDDEN, 'not you');
    session.on('message', (message) => {
      const { data, metadata, oneWay } = message;
      const kind = oneWay ? 'hint' : 'call';
      note(`messages to the ${side}`, `${kind} ${shown(data)} ${JSON.stringify(metadata)}`);
      const text = data.toString('latin1', 0, 6);
      if (oneWay || text === 'accept') message.accept();
      else if (text === 'reject') message.reject(0x9001, 'not that', Buffer.from('because'));
      else message.respond(Buffer.from(data.toReversed()), { metadata: { seen: 'yes' } });
    });
    session.on('close', (error) => note(what, `${session.name} ended ${error?.code}`));
    session.accept(Buffer.from('come in'));
  });
}

/** Opens sessions and sends messages to the other side. */
async function call(
  side: string,
  connection: Connection,
  large: number,
  note: Note,
): Promise<void> {
  const session = await connection.createSession('calls', { data: Buffer.from(side) });
  note(`the session of the ${side}`, session.data.toString());
  const send = (text: string, metadata?: Record<string, string>): Promise<string> =>
    session.send(Buffer.from(text), metadata && { metadata }).then(outcomeOf);
  const hint = (text: string): Promise<void> => session.send(Buffer.from(text), { oneWay: true });
  const outcomes = await Promise.all([
    send('accept this'),
    send('answer this', { trace: '7' }),
    hint('hint one'),
    send('reject this'),
    session.send(Buffer.alloc(large, 'a large one '), {}).then(outcomeOf),
    send('accept that'),
    hint('hint two'),
    connection.createSession('refused').then(({ name }) => name, codeOf),
  ]);
  note(`outcomes of the ${side}`, outcomes.join('\n'));
  await session.close();
  note(`the session of the ${side}`, session.status);
}

function outcomeOf(outcome: Outcome): string {
  const { accepted, data, metadata } = outcome;
  const why = accepted ? '' : ` ${outcome.code} ${outcome.reason}`;
  return `${accepted} ${shown(data)} ${JSON.stringify(metadata)}${why}`;
}

function codeOf(error: unknown): string {
  if (error instanceof InterconnectError) return `${error.code} ${error.executed} ${error.status}`;
  throw error;
}

/** A short form of a payload: enough to tell two payloads apart. */
function shown(data: Buffer): string {
  if (data.length <= 16) return data.toString();
  return `${data.length} bytes ${createHash('md5').update(data).digest('hex')}`;
}

function isHint(entry: string): boolean {
  return entry.startsWith('hint');
}

const HINTS = 2;
