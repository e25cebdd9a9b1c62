/** `listener.setSecureContext`: new certificates and authorities without a stop, and warnings before the end of one. */
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Server, TLSSocket } from 'node:tls';
import {
  connect,
  type Connection,
  Listener,
  type ListenerOptions,
  type Message,
} from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { failure, next, turn, until } from '../../support/events.js';
import { authority, type Identity, issue } from '../../support/peers/certificates.js';
import { addressOf, dial, listening } from '../../support/peers/connected.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

let kept: Identity;
let removed: Identity;
let server: Identity;
let other: Identity;
/** Certificates of the two authorities. */
let alice: Identity;
let mallory: Identity;

const DAY = 86_400_000;

beforeAll(async () => {
  [kept, removed] = await Promise.all([authority('kept'), authority('removed')]);
  [server, other, alice, mallory] = await Promise.all([
    issue(kept, { names: ['server'] }),
    issue(kept, { names: ['other'] }),
    issue(kept, { names: ['alice'] }),
    issue(removed, { names: ['mallory'] }),
  ]);
});

function both(): NonNullable<ListenerOptions['tls']> {
  return { ...server, ca: [kept.cert, removed.cert], requestCert: true };
}

function shownBy(connection: Connection): unknown {
  return (connection.socket as TLSSocket).getPeerCertificate().subject.CN;
}

describe('another certificate of the listener', () => {
  it('is shown from now on, and connections stay', async () => {
    const listener = await listening({ tls: server });
    const tls = { ca: kept.cert };
    const early = await dial(listener, { tls });

    await listener.setSecureContext(other);

    expect(shownBy(await dial(listener, { tls }))).toBe('other');
    expect([shownBy(early), early.status]).toEqual(['server', 'open']);
  });

  it('is shown after another listen too', async () => {
    const listener = await listening({ tls: server });
    await listener.setSecureContext(other);
    await listener.close();

    await listener.listen();

    expect(shownBy(await dial(listener, { tls: { ca: kept.cert } }))).toBe('other');
  });

  it('changes nothing if it is unusable', async () => {
    const listener = await listening({ tls: server });

    const error = await failure(listener.setSecureContext({ key: 'no key' }));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(error.message).toContain('The tls options are not usable');
    expect(shownBy(await dial(listener, { tls: { ca: kept.cert } }))).toBe('server');
  });
});

describe('an authority that is removed', () => {
  it('drains the connections of its certificates, and no others', async () => {
    const listener = await listening({ tls: both() });
    const held: Message[] = [];
    listener.on('connection', (connection) =>
      connection.on('session', (session) => {
        session.on('message', (message) => {
          if (message.data.length > 1) held.push(message);
          else message.accept();
        });
        session.accept();
      }),
    );
    const good = await dial(listener, { tls: { ca: kept.cert, ...alice } });
    const bad = await dial(listener, { tls: { ca: kept.cert, ...mallory }, reconnect: false });
    const goodSession = await good.createSession('echo');
    const badSession = await bad.createSession('echo');
    const outcome = badSession.send(Buffer.from('under way'));
    await until(() => held.length > 0);
    const closed = next(bad, 'close');

    const changed = listener.setSecureContext({ ca: kept.cert });
    await until(() => [...listener.connections].some(({ status }) => status === 'draining'));
    held[0]?.respond(Buffer.from('done'));

    await Promise.all([changed, closed]);
    expect(await outcome).toMatchObject({ data: Buffer.from('done') });
    expect(await goodSession.send(Buffer.from('x'))).toMatchObject({ accepted: true });
    expect(listener.connections.size).toBe(1);
    const again = { ...addressOf(listener), tls: { ca: kept.cert, ...mallory } };
    expect(await failure(connect(again))).toMatchObject({ code: 'IC_ERR_CONNECT' });
  });

  it('lets the connections of its certificates stay upon request', async () => {
    const listener = await listening({ tls: both() });
    const bad = await dial(listener, { tls: { ca: kept.cert, ...mallory } });

    await listener.setSecureContext({ ca: kept.cert }, { untrusted: 'keep' });
    await turn();

    expect(bad.status).toBe('open');
    expect(listener.connections.size).toBe(1);
  });

  it('is removed by the method of Node too, with the other options as they were', async () => {
    const listener = await listening({ tls: both() });
    const bad = await dial(listener, { tls: { ca: kept.cert, ...mallory }, reconnect: false });
    const closed = next(bad, 'close');

    (listener.server as Server).setSecureContext({ ...other, ca: kept.cert });

    await closed;
    const old = { ca: kept.cert, ...alice, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
    expect((await failure(connect({ ...addressOf(listener), tls: old }))).code).toBe(
      'IC_ERR_CONNECT',
    );
    expect(shownBy(await dial(listener, { tls: { ca: kept.cert, ...alice } }))).toBe('other');
  });

  it.each(['before HELLO', 'while it is judged'])('ends a handshake: %s', async (when) => {
    let onJudged = (): void => undefined;
    const judged = new Promise<void>((resolve) => (onJudged = resolve));
    const clock = new ManualClock();
    const listener = await listening({ tls: both(), authenticate: onJudged, clock });
    const tls = { ca: kept.cert, ...mallory };
    const secured = new Promise((resolve) => listener.server?.once('secureConnection', resolve));
    const asked = when === 'before HELLO' ? secured : judged;
    const dialing = failure(connect({ ...addressOf(listener), tls, reconnect: false }));
    await asked;

    await listener.setSecureContext({ ca: kept.cert });

    expect((await dialing).executed).toBe('no');
    expect(listener.connections.size).toBe(0);
  });
});

describe('authorities that are added', () => {
  it('disturb nobody, also behind an authority in between', async () => {
    const between = await issue(kept, { names: ['between'], cA: true, altNames: [] });
    const leaf = await issue(between, { names: ['bob'] });
    const chained = { key: leaf.key, cert: `${leaf.cert}\n${between.cert}` };
    const listener = await listening({ tls: { ...both(), ca: kept.cert } });
    const tls = { ca: kept.cert };
    const bob = await dial(listener, { tls: { ...tls, ...chained } });
    const simple = await dial(listener, { tls: { ...tls, ...alice } });

    await listener.setSecureContext({ ca: [removed.cert, kept.cert] });
    await turn();

    expect([bob.status, simple.status]).toEqual(['open', 'open']);
    expect(shownBy(await dial(listener, { tls: { ...tls, ...mallory } }))).toBe('server');
  });
});

describe('setSecureContext', () => {
  it.each<[string, object, object, string]>([
    ['other options', { requestCert: false }, {}, 'setSecureContext cannot change tls.requestCert'],
    [
      'an unknown choice',
      {},
      { untrusted: 'end' },
      "untrusted must be 'drain' or 'keep', and is \"end\"",
    ],
    ['no object', [], {}, 'The options of setSecureContext must be an object'],
  ])('refuses %s', async (_name, changes, options, message) => {
    const listener = await listening({ tls: both() });

    const error = await failure(listener.setSecureContext(changes, options));

    expect(error.code).toBe('IC_ERR_OPTION');
    expect(error.message).toContain(message);
  });

  it('needs TLS', async () => {
    const listener = await listening();

    expect((await failure(listener.setSecureContext(other))).message).toContain('the option tls');
  });
});

describe('a certificate that expires', () => {
  it.each([
    [
      40,
      [
        [29, 10],
        [28, 11],
        [27, 12],
      ],
    ],
    [
      3,
      [
        [2, 0],
        [1, 1],
        [0, 2],
        [-1, 3],
      ],
    ],
  ])('in %i days is told of once a day, in the last 30 days', async (days, expected) => {
    const clock = new ManualClock();
    const notAfter = new Date(Date.now() + days * DAY - 60_000);
    const expiring = await issue(kept, { names: ['expiring'], notAfter });
    const told: [days: number, at: number][] = [];
    const start = clock.now();
    const listener = new Listener({ host: '127.0.0.1', tls: expiring, clock });
    listener.on('certificateExpiry', ({ subject, days: left }) => {
      expect(subject).toBe('CN=expiring');
      told.push([left, (clock.now() - start) / DAY]);
    });

    await listener.listen();
    const last = expected.at(-1)?.[1] ?? 0;
    clock.advance(last * DAY);

    expect(told).toEqual(expected);
    await listener.setSecureContext(other);
    clock.advance(5 * DAY);
    expect(told).toEqual(expected);
    await listener.close();
    expect(clock.pending).toBe(0);
  });

  it('is a warning of the process if nobody listens', async () => {
    const notAfter = new Date(Date.now() + 5 * DAY);
    const expiring = await issue(kept, { names: ['expiring'], notAfter });
    const warning = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    afterTest(() => warning.mockRestore());

    await listening({ tls: expiring });

    expect(warning.mock.calls.map(([text]) => text)).toEqual([
      expect.stringContaining('The certificate CN=expiring of a listener expires in 4 days'),
    ]);
  });
});
