/** That the suite sees what is wrong: listeners and dialers with one fault each. */
import { connect } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import type { DialerStarter } from '../../src/cli/conformance/command.js';
import {
  Code,
  creditPayload,
  encodeFrame,
  encodePreface,
  Flag,
  FrameType,
} from '../../src/wire/index.js';
import { afterTest } from '../support/after-test.js';
import { GREETING, RawListener } from '../support/peers/raw-peer.js';
import { ourListener, run, runAgainst } from '../support/cli/command.js';
import { type Tamper, tampering } from '../support/cli/tampering-proxy.js';

const { ACCEPT, REJECT, CLOSE, CREDIT, END, OPEN, OPENED, PONG, SEND, WELCOME, FRAG } = FrameType;

/** Does something with the frames of one type. */
function on(type: number, tamper: Tamper): Tamper {
  return (frame) => (frame[0] === type ? tamper(frame) : [frame]);
}

/** A frame with one octet replaced. */
function patched(frame: Buffer, at: number, octet: number): Buffer {
  const copy = Buffer.from(frame);
  copy[at] = octet;
  return copy;
}

/** A frame with another id, or count of frames. */
function withId(frame: Buffer, id: number): Buffer {
  const copy = Buffer.from(frame);
  copy.writeUInt32BE(id, 12);
  return copy;
}

const close = (code: number): Buffer => encodeFrame({ type: CLOSE, meta: { code } });
const gone: Tamper = () => [];
const twice: Tamper = (frame) => [frame, frame];

type Fault = readonly [fault: string, tamper: Tamper, name: string, actual: RegExp];

describe('A listener that is right but for one thing', () => {
  it.each<Fault>([
    ['says no CLOSE', on(CLOSE, gone), 'malformed/M24', /the stream ended/],
    [
      'closes with another code',
      on(CLOSE, () => [close(Code.STATE)]),
      'malformed/M24',
      /CLOSE\(STATE\)/,
    ],
    [
      'says no CLOSE after an early GOAWAY',
      on(CLOSE, gone),
      'malformed/M123.a',
      /the stream ended/,
    ],
    [
      'says that GOAWAY is malformed, while its application judges HELLO',
      on(CLOSE, () => [close(Code.PROTOCOL)]),
      'malformed/M123.b',
      /CLOSE\(PROTOCOL\)/,
    ],
    [
      'writes on after CLOSE',
      on(CLOSE, (frame) => [frame, encodeFrame({ type: FrameType.PING, id: 1 })]),
      'malformed/M24',
      /PING token=1 after CLOSE/,
    ],
    [
      'closes where it should ignore',
      on(PONG, () => [close(Code.PROTOCOL)]),
      'malformed/M30',
      /CLOSE code=PROTOCOL/,
    ],
    [
      'answers PING with another token',
      on(PONG, (frame) => [withId(frame, 99)]),
      'keepalive/pong',
      /99/,
    ],
    ['settles twice', on(ACCEPT, twice), 'messages/settled-once', /message 1/],
    ['settles not at all', on(ACCEPT, gone), 'messages/settled-once', /nothing more within/],
    [
      'changes an octet',
      on(ACCEPT, (frame) => [patched(frame, frame.length - 1, 0)]),
      'messages/settled-once',
      /ACCEPT, \d+ octets/,
    ],
    ['loses a fragment', on(FRAG, gone), 'fragments/identical', /nothing more within/],
    [
      'rejects with another code',
      on(REJECT, (frame) => [patched(frame, 20, 0x01)]),
      'malformed/M61',
      /REJECT with the code 0x\d{4}/,
    ],
    ['opens twice', on(OPENED, twice), 'sessions/answered-once', /OPENED s=1/],
    ['refuses nothing', on(END, gone), 'sessions/answered-once', /nothing more within/],
    ['answers a refusal', on(OPEN, answeredRefusal()), 'sessions/refusal-unanswered', /END s=2/],
    [
      'numbers its sessions with the parity of the other',
      on(OPEN, (frame) => [patched(frame, 11, 3)]),
      'sessions/numbers',
      /3/,
    ],
    ['gives no credit back', on(CREDIT, gone), 'flow/returned', /nothing more within/],
    [
      'miscounts the frames',
      on(CREDIT, (frame) => [withId(frame, frame.readUInt32BE(12) + 5)]),
      'flow/count',
      /\d+/,
    ],
    [
      'lowers its limits',
      on(CREDIT, (frame) => [frame, lowered(frame)]),
      'flow/only-raises',
      /"count":0/,
    ],
    [
      'writes frames that are none',
      on(OPENED, (frame) => [patched(frame, 1, 0x80)]),
      'messages/empty',
      /no legal frame: OPENED has reserved flags/,
    ],
    [
      'skips a message id',
      on(SEND, (frame) => [withId(frame, frame.readUInt32BE(12) + 1)]),
      'messages/own-ids',
      /message 2/,
    ],
    [
      'forgets that a message is one-way',
      on(SEND, (frame) => [patched(frame, 1, (frame[1] ?? 0) & ~Flag.ONEWAY)]),
      'messages/own-one-way',
      /flags 0/,
    ],
    ['welcomes nobody', on(WELCOME, gone), 'handshake/data', /nothing more within/],
    [
      'welcomes who was refused',
      on(CLOSE, () => [encodeFrame({ type: WELCOME, meta: GREETING }), close(Code.FORBIDDEN)]),
      'handshake/refused',
      /payload|data|TEXT|^$/,
    ],
  ])('%s: seen', async (_fault, tamper, name, actual) => {
    const address = await tampering(await ourListener(), { tamper });

    const { code, out } = await run('conformance', address, '--case', name, '--timeout', '400');

    expect(code).toBe(1);
    expect(out).toContain(`✗ ${name}`);
    expect(/actual: +(.*)/.exec(out)?.[1] ?? '').toMatch(actual);
    expect(out).toMatch(/ [1-9]\d* failed, 0 skipped\n$/);
  });

  it('answers a violation with silence: seen', async () => {
    const tamper = on(CLOSE, gone);
    const address = await tampering(await ourListener(), { tamper, neverEnds: true });

    const { out } = await run('conformance', address, '--case', 'M24', '--timeout', '200');

    expect(out).toContain('expected: CLOSE(META)');
    expect(out).toMatch(/actual: {3}.*OPENED s=1, then nothing more within 200 ms/);
  });
});

describe('A listener that is none of ours', () => {
  it('that says nothing fails what it should', async () => {
    const { host, port } = (await RawListener.listen()).address;

    const { code, out } = await run(
      'conformance',
      `${host}:${port}`,
      '--timeout',
      '150',
      '--group',
      'sessions',
    );

    expect(code).toBe(1);
    expect(out).toMatch(/\n0 passed, \d+ failed, 0 skipped\n$/);
  });

  it('that speaks before it is spoken to is told apart from one that drops strangers', async () => {
    const listener = await RawListener.listen();
    void listener.accepted().then(async (probe) => {
      probe.socket.destroy();
      const peer = await listener.accepted();
      peer.write(encodePreface());
      peer.socket.end();
    });
    const { host, port } = listener.address;

    const { out } = await run('conformance', `${host}:${port}`, '--case', 'M1.a');

    expect(out).toContain('actual:   8 octets came');
  });
});

describe('A dialer', () => {
  it('that says nothing fails what it should', async () => {
    const { code, out } = await runAgainst(rawDialer(Buffer.alloc(0)), 'handshake/hello-legal');

    expect(code).toBe(1);
    expect(out).toContain('actual:   nothing more within 400 ms');
  });

  it('that does not wait for WELCOME is seen', async () => {
    const early = Buffer.concat([
      encodePreface(),
      encodeFrame({ type: FrameType.HELLO, meta: GREETING }),
      encodeFrame({ type: OPEN, session: 1, meta: { name: 't.echo' } }),
    ]);

    const { out } = await runAgainst(rawDialer(early), 'handshake/first-octets');

    expect(out).toContain('expected: no frame before WELCOME');
  });

  it('that ends before it has connected is seen', async () => {
    const { code, out } = await run(
      'conformance',
      '--listen',
      '0',
      '--case',
      'M24',
      '--',
      process.execPath,
      '--eval',
      '0',
    );

    expect(code).toBe(1);
    expect(out).toContain('actual:   the command ended with code 0');
  });
});

/** Connects, says this, and no more. */
function rawDialer(octets: Buffer): DialerStarter {
  return () => (address) => {
    const socket = connect({ ...address, allowHalfOpen: true });
    afterTest(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.write(octets);
    return Promise.resolve({
      ended: new Promise<string>(() => undefined),
      stop: () => Promise.resolve(void socket.destroy()),
    });
  };
}

/** Writes END for a session as soon as it has opened it. */
function answeredRefusal(): Tamper {
  return (frame) => [frame, encodeFrame({ type: END, session: frame.readUInt32BE(8) })];
}

function lowered(frame: Buffer): Buffer {
  const session = frame.readUInt32BE(8);
  return encodeFrame({ type: CREDIT, session, payload: creditPayload(0, 0) });
}
