import { describe, expect, it } from '@jest/globals';
import { Code, Flag, FrameType } from '../../../src/wire/index.js';
import type { SimMessage, SimSend, SimSession } from '../../support/sim/sim-application.js';
import { type PairOptions, SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

interface Streaming {
  readonly pair: SimPair;
  readonly dialer: SimSession;
  readonly listener: SimSession;
  readonly send: SimSend;
  readonly message: SimMessage;
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => `${at}`);

/** A request in a stream of many items whose handler runs and has taken none. */
function streaming(
  options: PairOptions = {},
  sendOptions: Parameters<SimSession['send']>[1] = {},
): Streaming {
  const pair = SimPair.open(options);
  const { dialer, listener } = pair.join();
  const send = dialer.send('', { items: numbers(100), takesItems: true, ...sendOptions });
  pair.run();
  return { pair, dialer, listener, send, message: listener.last };
}

function expectNothingHeld({ pair, dialer, listener }: Streaming): void {
  const windows = [pair.dialer, pair.listener].map((side) => side.connection.receiveWindow);
  for (const { machine } of [dialer, listener]) {
    if (machine.state !== 'CLOSED') windows.push(machine.receiver.window);
  }
  expect(windows.every(({ held }) => held === 0)).toBe(true);
}

describe('A request stream that is settled before its end', () => {
  it('stops its sender, and what crossed is ignored [IC-8.21]', () => {
    const run = streaming();
    const { pair, send, message } = run;
    message.read(16);
    pair.there.flush();

    message.reject(Code.REFUSED, 'enough');
    pair.run();
    const { given } = send.source!;
    pair.run();

    expect(send.outcome).toBe('rejected REFUSED "enough"');
    expect(send.source?.given).toBe(given);
    expect(send.requestItems?.isOver).toBe(true);
    expectNothingHeld(run);
    expect(pair.listener.status).toBe('open');
  });

  it('drops what lies unread, and its place is free [IC-8.20]', () => {
    const run = streaming({ limits: { messages: 1 } });
    const next = run.dialer.send('next');

    run.message.accept();
    run.pair.run();

    expect(run.send.outcome).toBe('accepted');
    expect(run.listener.last.text).toBe('next');
    expect(run.message.items).toEqual([]);
    run.listener.last.accept();
    run.pair.run();
    expect(next.outcome).toBe('accepted');
    expectNothingHeld(run);
  });

  it('may be within a large item, whose rest is not sent', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('', { items: ['small', Buffer.alloc(3_000_000)] });
    pair.dialer.room = 200_000;
    pair.there.flush();
    pair.there.deliver();
    expect(pair.listener.connection.receiveWindow.held).toBeGreaterThan(100_000);

    listener.last.accept();
    pair.back.flush();
    pair.back.deliver();
    pair.dialer.room = 256 * 1024;
    pair.run();

    expect(send.outcome).toBe('accepted');
    expect(pair.dialer.connection.output.isEmpty).toBe(true);
    expect(pair.dialer.log.octets).toBeLessThan(1_000_000);
    expect(pair.listener.connection.receiveWindow.held).toBe(0);
  });

  it('may be so again and again, with items crossing each time', () => {
    const pair = SimPair.open({ limits: { messages: 3, items: 4 } });
    const { dialer, listener } = pair.join();
    listener.onHandle = (message) => void message.accept();
    const sends: SimSend[] = [];

    for (let round = 0; round < 50; round++) {
      const large = Buffer.alloc(20_000);
      sends.push(dialer.send('', { items: [large, ...numbers(9)] }));
      sends.push(dialer.send('', { items: ['x', large, 'x', large] }));
      if (round % 7 === 6) pair.run();
    }
    pair.run();

    expect(new Set(sends.map(({ outcome }) => outcome))).toEqual(new Set(['accepted']));
    expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
    expect(pair.listener.connection.receiveWindow.held).toBe(0);
  });
});

describe('A stream that is cancelled', () => {
  it('by the sender of the request aborts its handler and drops what is unread', () => {
    const run = streaming();
    const { pair, send, message } = run;

    send.cancel();
    pair.run();

    expect(send.outcome).toBe('failed cancelled maybe');
    expect(message.aborted).toBe('cancelled');
    message.read();
    expect(message.items).toEqual([]);
    expect(pair.listener.connection.receiveWindow.held).toBe(0);
    expect(run.listener.machine.receiver.unsettled).toBe(1);
    message.reject(Code.CANCELLED_RUNNING);
    pair.run();
    expect(run.dialer.machine.sender.unsettled).toBe(0);
    expectNothingHeld(run);
  });

  it('sends CANCEL last of all [IC-6.47]', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    const send = dialer.send('', { items: ['a', Buffer.alloc(500_000), 'b'] });
    pair.dialer.room = 100_000;
    pair.there.flush();
    pair.dialer.room = 256 * 1024;

    send.cancel();
    pair.run();

    const lines = pair.dialer.log.linesButCredit();
    expect(lines.at(-1)).toBe('CANCEL s=1 id=1');
    expect(lines.filter((line) => line.startsWith('FRAG')).length).toBeLessThan(4);
  });

  it('ignores what still comes of its answer, and allows no more of it', () => {
    const run = streaming({ limits: { items: 8 } });
    const { pair, send, message } = run;
    send.reads = false;
    const source = message.stream(numbers(100));
    pair.run();
    expect(source.given).toBe(9);
    pair.dialer.log.lines();

    send.cancel();
    pair.run();

    expect(pair.dialer.log.lines().filter((line) => line.includes(' items='))).toEqual([]);
    expect(source.given).toBe(9);
    expect(pair.dialer.connection.receiveWindow.held).toBe(0);
    message.reject();
    pair.run();
    expectNothingHeld(run);
  });

  it('amid a large item of its answer gets the rest, and then the settlement', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x', { takesItems: true });
    pair.run();
    listener.last.stream([Buffer.alloc(1_000_000), 'b']);
    pair.listener.room = 100_000;
    pair.back.flush();
    pair.back.deliver();
    pair.listener.room = 256 * 1024;

    send.cancel();
    pair.run();
    listener.last.reject(Code.CANCELLED_RUNNING);
    pair.run();

    expect(send.items).toEqual([]);
    expect(dialer.machine.sender.unsettled).toBe(0);
    expect(pair.dialer.connection.receiveWindow.held).toBe(0);
    expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
  });

  it('before its handler has started is rejected unstarted', () => {
    const pair = SimPair.open();
    pair.listener.onSession = () => undefined;
    const session = pair.dialer.session('a');
    const send = session.send('', { items: numbers(50) });
    pair.run();

    send.cancel();
    pair.run();
    pair.listener.last.accept();

    expect(send.outcome).toBe('failed cancelled maybe');
    expect(pair.listener.last.messages).toEqual([]);
    expect(pair.listener.connection.receiveWindow.held).toBe(0);
  });

  it('while it waits for its turn gives nothing', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer } = pair.join();
    dialer.send('first');
    const send = dialer.send('', { items: ['x'] });
    pair.run();

    send.cancel();
    pair.run();

    expect(send.outcome).toBe('failed cancelled no');
    expect(send.source?.given).toBe(0);
  });

  it('of which the SEND has not begun is forgotten, and the session can end', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    const send = dialer.send(Buffer.alloc(100_000), { items: ['x'] });

    send.cancel();
    dialer.end();
    pair.run();

    expect(send.outcome).toBe('failed cancelled no');
    expect(dialer.status).toBe('closed');
  });
});

describe('The time of a stream', () => {
  it('is, where it was given, that of the message', () => {
    const run = streaming({}, { timeout: 500 });
    const { pair, send, message } = run;
    expect(pair.dialer.log.lines().find((line) => line.startsWith('SEND'))).toContain('deadline=');
    pair.advance(400);
    message.read(20);
    pair.advance(200);

    // Both clocks run out at the same instant: either may be the first to say so.
    expect(send.outcome).toMatch(/^(failed timeout maybe|rejected DEADLINE)/u);
    expect(message.aborted).toBe('timeout');
    message.accept();
    pair.run();
    expectNothingHeld(run);
    expect(pair.dialer.status).toBe('open');
  });

  it('is else that without progress, and no DEADLINE goes out [IC-10.11]', () => {
    const { pair, send, message } = streaming({}, { patience: 500 });
    expect(pair.dialer.log.lines().find((line) => line.startsWith('SEND'))).not.toContain('dead');
    for (let round = 0; round < 5; round++) {
      pair.advance(400);
      message.read(16);
    }
    pair.run();
    expect(send.outcome).toBe('pending');
    pair.advance(499);
    expect(send.outcome).toBe('pending');

    pair.advance(1);

    expect(send.outcome).toBe('failed timeout maybe');
    expect(message.aborted).toBe('cancelled');
  });

  it('goes on from each item of the answer', () => {
    const { pair, send, message } = streaming({}, { patience: 500 });
    message.readAll();
    pair.run();
    const sender = message.session.machine.receiver.streams.reply(message.incoming, {
      onReady: () => undefined,
    });
    for (let round = 0; round < 6; round++) {
      pair.advance(400);
      sender.send(Buffer.from('tick'));
      pair.run();
    }
    expect(send.items).toHaveLength(6);
    pair.advance(499);
    expect(send.outcome).toBe('pending');
    pair.advance(1);
    expect(send.outcome).toBe('failed timeout maybe');
  });

  it('does not run while its own application leaves items unread [IC-10.12]', () => {
    const { pair, send, message } = streaming({}, { patience: 500 });
    message.readAll();
    send.reads = false;
    message.stream(numbers(3), () => undefined);
    pair.run();

    pair.advance(10_000);
    expect(send.outcome).toBe('pending');
    send.read();
    pair.advance(499);
    expect(send.outcome).toBe('pending');
    pair.advance(1);

    expect(send.outcome).toBe('failed timeout maybe');
  });

  it('counts what leaves of a large item as progress', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('', { items: [Buffer.alloc(1_500_000)], patience: 500 });
    pair.dialer.room = 65_536;
    pair.dialer.afterTimer = pair.listener.afterTimer = undefined;
    for (let round = 0; round < 5; round++) {
      pair.there.flush();
      pair.dialer.woken = true;
      pair.there.deliver();
      pair.clock.advance(400);
    }
    expect(send.outcome).toBe('pending');
    pair.dialer.room = 256 * 1024;
    pair.run();
    listener.last.readAll();
    expect(listener.last.ended).toBe(true);
  });
});

describe('An answer that begins before its message is whole', () => {
  it.each<[string, (peer: SimPeer, send: SimSend) => void, string]>([
    ['its sender cancels', (_peer, send) => send.cancel(), 'failed cancelled maybe'],
    ['the socket is lost', (peer) => peer.side.lose(), 'failed connection-lost maybe'],
  ])('is taken, and says that the handler may have run, if %s [IC-6.51]', (_what, end, outcome) => {
    const peer = SimPeer.greeted('dialer', {}, { sessionBytes: 2 * 65_536 });
    const send = peer.side.session('a').send(Buffer.alloc(500_000), { takesItems: true });
    peer.flush();
    peer.send({ type: FrameType.OPENED, session: 1 });
    const flags = Flag.REPLY;

    const payload = Buffer.from('early');
    peer.send({ type: FrameType.ITEM, session: 1, id: 1, flags, payload });
    expect([send.texts, send.written < send.payload.length]).toEqual([['early'], true]);
    end(peer, send);

    expect(send.outcome).toBe(outcome);
  });
});

describe('The end of a session', () => {
  it('waits for the streams in it [IC-6.23]', () => {
    const { pair, dialer, listener, send, message } = streaming();
    dialer.end();
    pair.run();
    expect([dialer.status, listener.status]).toEqual(['ending', 'open']);

    message.readAll();
    pair.run();
    expect(message.ended).toBe(true);
    expect(listener.status).toBe('ending');
    const source = message.stream(numbers(40));
    pair.run();

    expect(source.given).toBe(40);
    expect(send.texts).toEqual(numbers(40));
    expect(send.outcome).toBe('accepted');
    expect([dialer.status, listener.status]).toEqual(['closed', 'closed']);
  });

  it('of its receiver lets a stream go on that had begun [IC-6.25]', () => {
    const { pair, dialer, listener, message } = streaming();
    listener.end();
    pair.run();

    message.readAll();
    pair.run();
    message.accept();
    pair.run();

    expect(message.texts).toEqual(numbers(100));
    expect([dialer.status, listener.status]).toEqual(['closed', 'closed']);
  });

  it('that is refused lets those begin which waited for its large message', () => {
    const limits = { maxMessage: 400_000, connectionBytes: 500_000 };
    const pair = SimPair.open({ limits });
    pair.listener.onSession = (session) => void (session.name === 'yes' && session.accept());
    const refused = pair.dialer.session('no').send(Buffer.alloc(400_000));
    const other = pair.dialer.session('yes').send(Buffer.alloc(400_000));
    pair.listener.onMessage = (message) => void message.accept();
    pair.dialer.room = 50_000;
    pair.there.flush();
    pair.there.deliver();
    pair.dialer.room = 256 * 1024;
    pair.dialer.woken = false;

    pair.listener.incoming[0]?.reject();
    pair.run();

    expect(refused.outcome).toBe('failed session-rejected no');
    expect(other.outcome).toBe('accepted');
  });

  it('or of a message leaves the room of its large item to others', () => {
    const limits = { maxMessage: 400_000, connectionBytes: 500_000, sessionBytes: 100_000 };
    const peer = SimPeer.greeted('listener', {}, limits);
    for (const session of [1, 3]) {
      peer.send({ type: FrameType.OPEN, session, meta: { name: `${session}` } });
    }
    const [one, other] = peer.side.incoming;
    const stream = one!.send('', { items: [Buffer.alloc(400_000)] });
    peer.flush();
    other!.send(Buffer.alloc(400_000));
    peer.flush();
    expect(peer.lines().some((line) => line.startsWith('SEND s=3'))).toBe(false);

    peer.send({ type: FrameType.ACCEPT, session: 1, id: 1, flags: Flag.REPLY });

    expect(stream.outcome).toBe('accepted');
    expect(peer.lines()[0]).toContain('SEND s=3 id=1 MORE total=400000');
  });

  it('is no reason to lose what is unread of an answer', () => {
    const run = streaming();
    run.message.readAll();
    run.send.reads = false;
    run.message.stream(numbers(20));
    run.dialer.end();
    run.pair.run();
    expect(run.dialer.status).toBe('closed');

    run.send.read();
    run.pair.run();

    expect(run.send.texts).toEqual(numbers(20));
    expectNothingHeld(run);
  });

  it('by the loss of the connection ends both halves, and tells once', () => {
    const run = streaming();
    run.send.reads = false;
    run.message.stream(numbers(40));
    run.pair.run();

    run.pair.cut();

    expect(run.send.outcome).toBe('failed connection-lost maybe');
    expect(run.message.aborted).toBe('lost');
    expect([run.send.requestItems?.isOver, run.message.incoming.responseItems?.isOver]).toEqual([
      true,
      true,
    ]);
    run.send.read();
    run.message.read();
    expect([run.send.items, run.message.items]).toEqual([[], []]);
    run.message.accept();
    expectNothingHeld(run);
  });
});
