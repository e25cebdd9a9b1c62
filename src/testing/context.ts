import { EMPTY } from '../endpoint/index.js';
import type { Connection, Message, Metadata } from '../endpoint/index.js';
import { InterconnectContext, InterconnectPeer } from '../nest/index.js';
import type { Bytes } from '../nest/index.js';
import { toBuffer } from '../nest/common/bytes.js';
import { FakeInterconnectClient } from './fake-client.js';

/** The context of a handler, guard, pipe or filter under test. Every option has a default. */
export interface InterconnectContextOptions {
  /** Default `'test'`. */
  readonly pattern?: string | undefined;
  readonly data?: Bytes | undefined;
  readonly metadata?: Metadata | undefined;
  /** Default: a signal that never aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds left. Default: the message never times out. */
  readonly remaining?: number | undefined;
  /** Whether an event handler serves the message. Default `false`. */
  readonly isEvent?: boolean | undefined;
  /** The identity of the sender. Default: empty. */
  readonly identity?: string | undefined;
  /** The result of `getClient()`. Default: a client without replies. */
  readonly client?: FakeInterconnectClient | undefined;
}

/** A context that needs no connection: `controller.replicate(chunk, createInterconnectContext({ … }))`. */
export function createInterconnectContext(
  options: InterconnectContextOptions = {},
): InterconnectContext {
  const { pattern = 'test', isEvent = false, metadata = {}, signal, remaining } = options;
  const { identity = '' } = options;
  const connection = { id: 'test', principal: identity, peer: NOBODY } as unknown as Connection;
  const data = toBuffer(options.data ?? EMPTY);
  const message = {
    id: 1,
    data,
    body: bodyOf(data),
    metadata,
    remaining,
    signal: signal ?? new AbortController().signal,
    oneWay: false,
    session: { name: pattern, connection },
  } as unknown as Message;
  const peer = new FakePeer(connection, identity, options.client);
  return new InterconnectContext([message, pattern, isEvent, peer, undefined]);
}

/** The body of an ordinary message. */
async function* bodyOf(data: Buffer): AsyncGenerator<Buffer> {
  if (data.length > 0) yield data;
}

class FakePeer extends InterconnectPeer {
  private readonly fake: FakeInterconnectClient;

  constructor(connection: Connection, identity: string, client = new FakeInterconnectClient()) {
    super(connection, identity);
    this.fake = client;
  }

  override get client(): InterconnectPeer['client'] {
    return this.fake;
  }
}

const NOBODY = {
  agent: '',
  address: '127.0.0.1',
  port: undefined,
  encrypted: false,
  authorized: false,
  certificate: undefined,
};
