import type { MsPattern } from '@nestjs/microservices';
import { Code } from '../endpoint/index.js';
import type { Connection, Metadata, Outcome, SendOptions } from '../endpoint/index.js';
import { toBuffer } from '../nest/bytes.js';
import { serverCodec } from '../nest/codec.js';
import type { Codec } from '../nest/codec.js';
import type { ConnectionHolder } from '../nest/connection-slot.js';
import { toRejectionOfThrown } from '../nest/error-mapping.js';
import { InterconnectClient } from '../nest/index.js';
import type { Bytes, InterconnectPayloadOptions } from '../nest/index.js';
import { NO_HANDLER_MESSAGE } from '../nest/interconnect.constants.js';

const EMPTY: Buffer = Buffer.alloc(0);

/** One message that the code under test sent. */
export interface FakeCall {
  /** As it stands on the wire: an object pattern is Nest's JSON of it. */
  readonly pattern: string;
  /** What a handler would get: bytes, or with `encoding: 'json'` the value. */
  readonly data: unknown;
  readonly metadata: Metadata;
  readonly timeout: number | undefined;
  readonly oneWay: boolean;
  readonly idempotent: boolean;
  readonly signal: AbortSignal | undefined;
}

/** A value, what a handler would return; or the handler itself, which may throw. */
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
    const codec = serverCodec(options);
    super(
      options,
      holderOf((name, data, how) => answer(name, data, how, { replies, calls, codec })),
    );
    this.calls = calls;
    this.replies = replies;
  }

  /** From now on: a value, or a function of the call whose value, promise or error is the answer. */
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

interface FakeServer {
  readonly replies: ReadonlyMap<string, (call: FakeCall) => unknown>;
  readonly calls: FakeCall[];
  readonly codec: Codec | undefined;
}

type Answer = (name: string, data: Buffer, options: SendOptions) => Promise<Outcome>;

function holderOf(answers: Answer): ConnectionHolder {
  const path = {
    // Nothing of a connection is used but by those who ask for it.
    connection: {} as Connection,
    session: (name: string) => ({
      async send(data: Bytes, options: SendOptions = {}): Promise<never> {
        const outcome = await answers(name, toBuffer(data), options);
        return outcome as never;
      },
    }),
  };
  return { current: path, connect: async () => path, close: async () => {} };
}

async function answer(
  pattern: string,
  bytes: Buffer,
  options: SendOptions,
  { replies, calls, codec }: FakeServer,
): Promise<Outcome> {
  const { metadata = {}, timeout, oneWay = false, idempotent = false, signal } = options;
  const data = codec === undefined ? bytes : await codec.decode(bytes, pattern);
  const call = { pattern, data, metadata, timeout, oneWay, idempotent, signal };
  calls.push(call);
  const reply = replies.get(pattern);
  if (reply === undefined) return rejected(Code.NO_SUCH_SESSION, NO_HANDLER_MESSAGE);
  try {
    const value: unknown = await reply(call);
    if (codec !== undefined) return accepted(toBuffer(await codec.encode(value, pattern)));
    return accepted(value === undefined || value === null ? EMPTY : toBuffer(value as Bytes));
  } catch (error) {
    const { code, reason, data: carried, metadata: entries } = toRejectionOfThrown(error);
    return rejected(code, reason, carried, entries);
  }
}

function accepted(data: Buffer): Outcome {
  return { accepted: true, data, metadata: {} };
}

function rejected(code: number, reason: string, data = EMPTY, metadata: Metadata = {}): Outcome {
  return { accepted: false, code, reason, data, metadata };
}
