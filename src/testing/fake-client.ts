import type { MsPattern } from '@nestjs/microservices';
import type { Connection, Items, Outcome, SendOptions } from '../endpoint/index.js';
import { serverCodec } from '../nest/common/codec.js';
import type { PathSource } from '../nest/client/connection-slot.js';
import { InterconnectClient } from '../nest/index.js';
import type { Bytes, InterconnectPayloadOptions } from '../nest/index.js';
import { FakeExchange } from './fake-exchange.js';
import type { FakeCall } from './fake-exchange.js';

/**
 * The value that a handler would return, or the handler itself, which may throw. An Observable, async iterable or `Readable`
 * makes the response a stream. Give a handler for it, because a stream can be read once.
 */
export type FakeReply = unknown;

/**
 * A client without a connection. It notes the calls, and responds with the replies that the test has set. All other behaviour,
 * from records to exceptions, is that of the real client.
 *
 * ```ts
 * const client = new FakeInterconnectClient();
 * client.reply('replicate', (call) => call.data);
 * const module = await Test.createTestingModule({ … }).overrideProvider(InterconnectClient).useValue(client).compile();
 * expect(client.calls).toMatchObject([{ pattern: 'replicate', metadata: { path: 'a.txt' } }]);
 * ```
 */
export class FakeInterconnectClient extends InterconnectClient<unknown> {
  /** The calls in the order in which they were sent. */
  readonly calls: FakeCall[];
  private readonly replies: Map<string, (call: FakeCall) => unknown>;

  constructor(options: InterconnectPayloadOptions = {}) {
    const replies = new Map<string, (call: FakeCall) => unknown>();
    const calls: FakeCall[] = [];
    const server = { replies, calls, codec: serverCodec(options) };
    super(
      options,
      pathSourceOf((name, isEvent, data, how) =>
        new FakeExchange(name, isEvent, server, how).run(data),
      ),
    );
    this.calls = calls;
    this.replies = replies;
  }

  /** Sets the reply to a pattern: a value, or a function of the call, whose value, promise, stream or error is the response. */
  reply(pattern: MsPattern, reply: (call: FakeCall) => unknown): this;
  reply(pattern: MsPattern, reply: FakeReply): this;
  reply(pattern: MsPattern, reply: FakeReply): this {
    const handler =
      typeof reply === 'function' ? (reply as (call: FakeCall) => unknown) : undefined;
    this.replies.set(this.normalizePattern(pattern), handler ?? (() => reply));
    return this;
  }

  /** Lets calls and events of this pattern fail with the error, as if a handler had thrown it. */
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

function pathSourceOf(send: Send): PathSource {
  const path = {
    // Only a test that asks for the connection would use it.
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
