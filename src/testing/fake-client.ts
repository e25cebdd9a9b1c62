import type { MsPattern } from '@nestjs/microservices';
import type { Connection, Items, Outcome, SendOptions } from '../endpoint/index.js';
import { serverCodec } from '../nest/common/codec.js';
import type { ConnectionHolder } from '../nest/client/connection-slot.js';
import { InterconnectClient } from '../nest/index.js';
import type { Bytes, InterconnectPayloadOptions } from '../nest/index.js';
import { FakeExchange } from './fake-exchange.js';
import type { FakeCall } from './fake-exchange.js';

/**
 * A value, what a handler would return; or the handler itself, which may throw. An Observable, async iterable or
 * `Readable` answers by a stream: give the handler, as a stream can be read once.
 */
export type FakeReply = unknown;

/**
 * A client that reaches nobody: it notes what is sent, and answers what it was told to. All else, from records to
 * exceptions, is the real client's.
 *
 * ```ts
 * const client = new FakeInterconnectClient();
 * client.reply('replicate', (call) => call.data);
 * const module = await Test.createTestingModule({ … }).overrideProvider(InterconnectClient).useValue(client).compile();
 * expect(client.calls).toMatchObject([{ pattern: 'replicate', metadata: { path: 'a.txt' } }]);
 * ```
 */
export class FakeInterconnectClient extends InterconnectClient<unknown> {
  /** In the order in which they were sent. */
  readonly calls: FakeCall[];
  private readonly replies: Map<string, (call: FakeCall) => unknown>;

  constructor(options: InterconnectPayloadOptions = {}) {
    const replies = new Map<string, (call: FakeCall) => unknown>();
    const calls: FakeCall[] = [];
    const server = { replies, calls, codec: serverCodec(options) };
    super(
      options,
      holderOf((name, isEvent, data, how) =>
        new FakeExchange(name, isEvent, server, how).run(data),
      ),
    );
    this.calls = calls;
    this.replies = replies;
  }

  /** From now on: a value, or a function of the call whose value, promise, stream or error is the answer. */
  reply(pattern: MsPattern, reply: (call: FakeCall) => unknown): this;
  reply(pattern: MsPattern, reply: FakeReply): this;
  reply(pattern: MsPattern, reply: FakeReply): this {
    const handler =
      typeof reply === 'function' ? (reply as (call: FakeCall) => unknown) : undefined;
    this.replies.set(this.normalizePattern(pattern), handler ?? (() => reply));
    return this;
  }

  /** From now on: calls and events of this pattern fail with the error, as they do when a handler throws it. */
  fail(pattern: MsPattern, error: Error): this {
    return this.reply(pattern, () => {
      throw error;
    });
  }

  /** Forgets calls and replies. */
  reset(): void {
    this.calls.length = 0;
    this.replies.clear();
  }
}

type Send = (
  name: string,
  isEvent: boolean,
  data: Bytes | Items,
  options: SendOptions,
) => Promise<Outcome>;

function holderOf(send: Send): ConnectionHolder {
  const path = {
    // Nothing of a connection is used but by those who ask for it.
    connection: {} as Connection,
    session: (name: string, isEvent = false) => ({
      async send(data: Bytes | Items, options: SendOptions = {}): Promise<never> {
        const outcome = await send(name, isEvent, data, options);
        return outcome as never;
      },
    }),
  };
  return { current: path, path: () => path, connect: async () => path, close: async () => {} };
}
