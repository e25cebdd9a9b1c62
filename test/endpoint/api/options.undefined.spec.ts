/**
 * `undefined` means the default, for every option: a configuration that lacks a value passes it on. The tables name
 * every option of their type, or do not compile.
 */
import { describe, expect, it } from '@jest/globals';
import {
  type Address,
  type CloseOptions,
  connect,
  type ConnectOptions,
  type DrainOptions,
  type EndpointOptions,
  InterconnectError,
  type InterconnectErrorDetails,
  type ItemsRejection,
  type ItemsSettleOptions,
  Listener,
  type ListenerOptions,
  MemoryNetwork,
  type ReconnectOptions,
  type SendOptions,
  type SessionOptions,
  type SettleOptions,
  type StreamOptions,
} from 'nestjs-interconnect/core';
import { resolveOptions } from '../../../src/endpoint/common/options.js';
import { afterTest } from '../../support/after-test.js';
import { addressOf, connected, inSession } from '../../support/peers/connected.js';
import { later } from '../../support/events.js';
import { ENDPOINT, type Nothing } from '../../support/undefined-options.js';

const LISTENER: Nothing<ListenerOptions> = {
  ...ENDPOINT,
  host: undefined,
  port: undefined,
  path: undefined,
  tls: undefined,
  backlog: undefined,
  mode: undefined,
  proxyProtocol: undefined,
  maxConnections: undefined,
  perAddress: undefined,
  maxAuthenticating: undefined,
  resumeTimeout: undefined,
  authenticate: undefined,
  identify: undefined,
};
const ADDRESS: Nothing<Address> = { host: undefined, port: undefined, path: undefined };
const CONNECT: Nothing<ConnectOptions> = {
  ...ENDPOINT,
  ...ADDRESS,
  addresses: undefined,
  tls: undefined,
  data: undefined,
  signal: undefined,
  reconnect: undefined,
  autoSelectFamilyAttemptTimeout: undefined,
  whenOffline: undefined,
  startDelay: undefined,
};
const RECONNECT: Nothing<ReconnectOptions> = {
  minDelay: undefined,
  maxDelay: undefined,
  attempts: undefined,
};
const SESSION: Nothing<SessionOptions> = {
  data: undefined,
  metadata: undefined,
  timeout: undefined,
  whenOffline: undefined,
};
const STREAM: Nothing<StreamOptions> = {
  timeout: undefined,
  metadata: undefined,
  signal: undefined,
  whenOffline: undefined,
};
const SEND: Nothing<SendOptions> = {
  ...STREAM,
  oneWay: undefined,
  idempotent: undefined,
  onItem: undefined,
};
const SETTLE: Nothing<SettleOptions> = { metadata: undefined };
const ITEMS_SETTLE: Nothing<ItemsSettleOptions> = {
  ...SETTLE,
  signal: undefined,
  toRejection: undefined,
};
const CLOSE: Nothing<CloseOptions> = { code: undefined, reason: undefined, data: undefined };
const DRAIN: Nothing<DrainOptions> = { timeout: undefined };
const ERROR: Nothing<InterconnectErrorDetails> = {
  executed: undefined,
  status: undefined,
  reason: undefined,
  data: undefined,
  cause: undefined,
};

describe('undefined', () => {
  it('is the default of every limit and time', () => {
    const numbers = (options: EndpointOptions) => {
      const { clock, scope, ...settings } = resolveOptions(options);
      expect([typeof clock, typeof scope]).toEqual(['object', 'object']);
      return settings;
    };

    expect(numbers(ENDPOINT)).toEqual(numbers({}));
  });

  it('is the default of whatever a listener and a dialer take', async () => {
    const listener = new Listener(LISTENER);
    afterTest(() => listener.close());
    await listener.listen();
    const targets: ConnectOptions[] = [
      { ...CONNECT, ...addressOf(listener) },
      { ...CONNECT, addresses: [{ ...ADDRESS, ...addressOf(listener) }], reconnect: RECONNECT },
    ];

    for (const target of targets) {
      const connection = await connect(target);
      expect(connection.status).toBe('open');
      await connection.close(CLOSE);
    }
  });

  it('is the default beside a network', async () => {
    const network = new MemoryNetwork();

    const { dialer } = await connected({ ...LISTENER, network }, { ...CONNECT, network });

    expect(dialer.status).toBe('open');
  });

  it('is the default of a session, of messages and of their outcomes', async () => {
    const { dialer, acceptor } = await inSession();
    acceptor.on('session', (session) => {
      session.on(
        'message',
        later(async (message) => {
          const rejection: ItemsRejection = {
            code: 0x8001,
            reason: 'why',
            data: undefined,
            ...SETTLE,
          };
          switch (message.data.toString()) {
            case 'respond':
              return message.respond(Buffer.from('x'), SETTLE);
            case 'reject':
              return message.reject(undefined, undefined, undefined, SETTLE);
            case 'items':
              return message.respond([Buffer.from('x')], ITEMS_SETTLE);
            default:
              return message.respond(failing(), { ...ITEMS_SETTLE, toRejection: () => rejection });
          }
        }),
      );
      session.accept(undefined);
    });
    const session = await dialer.createSession('other', SESSION);
    const send = (what: string) => session.send(Buffer.from(what), SEND);

    expect(await send('respond')).toMatchObject({ accepted: true, data: Buffer.from('x') });
    expect(await send('reject')).toMatchObject({ accepted: false });
    const items: Buffer[] = [];
    for await (const item of session.stream(Buffer.from('items'), STREAM)) items.push(item);
    expect(items).toEqual([Buffer.from('x')]);
    expect(
      await session.send(Buffer.from('failing'), { ...SEND, onItem: () => undefined }),
    ).toMatchObject({ accepted: false, code: 0x8001, reason: 'why' });
    await dialer.drain(DRAIN);
  });

  it('is the default of an error', () => {
    const detailsOf = ({ executed, status, reason, data, cause }: InterconnectError) => {
      return { executed, status, reason, data, cause };
    };

    const error = new InterconnectError('IC_ERR_CLOSED', 'over', ERROR);

    expect(detailsOf(error)).toEqual(detailsOf(new InterconnectError('IC_ERR_CLOSED', 'over')));
  });
});

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.from('x');
  throw new Error('no more');
}
