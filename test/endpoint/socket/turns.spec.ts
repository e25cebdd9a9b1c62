/** The connections of a thread take turns: one that has sent much does not make the others wait until it is served. */
import { describe, expect, it } from '@jest/globals';
import type { ListenerOptions } from 'nestjs-interconnect/core';
import { systemClock } from '../../../src/endpoint/common/clock.js';
import { Flag, FrameType } from '../../../src/wire/index.js';
import { turn, until } from '../../support/events.js';
import { echo, listening, tcpAddressOf, connected } from '../../support/peers/connected.js';
import { frame, RawPeer } from '../../support/peers/raw-peer.js';

/** A turn takes this many frames of one socket. */
const TURN = 320;

/** A clock that holds back the turns of the event loop that are asked for, until the test takes one. */
function heldTurns() {
  const waiting: (() => void)[] = [];
  return {
    clock: { ...systemClock, turn: (callback: () => void) => void waiting.push(callback) },
    waiting,
    take(): void {
      for (const callback of waiting.splice(0)) callback();
    },
  };
}

/** A listener whose messages are counted by the names of their sessions, in the order of their service. */
async function serving(turns = heldTurns()) {
  const served: string[] = [];
  const options: ListenerOptions & { clock: unknown } = {
    clock: turns.clock,
    maxUnsettled: 10_000,
  };
  const listener = await listening(options);
  const lost: string[] = [];
  listener.on('connection', (connection) => {
    connection.on('session', (session) => {
      session.accept();
      session.on('message', (message) => {
        served.push(session.name);
        message.accept();
      });
      session.on('close', () => lost.push(session.name));
    });
  });
  return { served, lost, turns, address: tcpAddressOf(listener) };
}

/** Opens a session and sends this number of empty one-way messages, all in one write. */
function flood(peer: RawPeer, name: string, count: number): void {
  const frames = [frame({ type: FrameType.OPEN, session: 1, meta: { name } })];
  for (let id = 1; id <= count; id++) {
    frames.push(frame({ type: FrameType.SEND, flags: Flag.ONEWAY, session: 1, id }));
  }
  peer.write(...frames);
}

async function settled(): Promise<void> {
  for (let at = 0; at < 20; at++) await turn();
}

describe('A connection that has sent much', () => {
  it('is served 320 frames at a time, and a newcomer in between', async () => {
    const { served, turns, address } = await serving();
    const greedy = await RawPeer.open(address);
    flood(greedy, 'greedy', 1000);
    await until(() => turns.waiting.length > 0);
    await settled();
    // OPEN is a frame too.
    expect(served).toEqual(Array.from({ length: TURN - 1 }, () => 'greedy'));

    const newcomer = await RawPeer.open(address);
    flood(newcomer, 'newcomer', 1);
    await until(() => served.includes('newcomer'));

    expect(served.indexOf('newcomer')).toBe(TURN - 1);
    turns.take();
    await settled();
    expect(served).toHaveLength(2 * TURN - 1 + 1);
    while (turns.waiting.length > 0) {
      turns.take();
      await settled();
    }
    expect(served).toHaveLength(1001);
  });

  it('has all its octets heard before the end of the stream', async () => {
    const { served, lost, turns, address } = await serving();
    const peer = await RawPeer.open(address);
    flood(peer, 'gone', 600);
    peer.socket.end();
    await until(() => turns.waiting.length > 0);
    await settled();
    expect(lost).toEqual([]);

    while (turns.waiting.length > 0) {
      turns.take();
      await settled();
    }

    await until(() => lost.length > 0);
    expect([served.length, lost]).toEqual([600, ['gone']]);
  });

  it('has the octets heard that were read before its socket broke', async () => {
    const { served, lost, turns, address } = await serving();
    const peer = await RawPeer.open(address);
    flood(peer, 'broken', 600);
    await until(() => turns.waiting.length > 0);

    peer.socket.resetAndDestroy();
    turns.take();
    turns.take();
    await until(() => lost.length > 0);

    expect([served.length, lost]).toEqual([600, ['broken']]);
  });

  it('is not read beyond its turn once it has broken a rule', async () => {
    const { served, turns, address } = await serving();
    const peer = await RawPeer.open(address);
    flood(peer, 'wrong', 400);
    peer.send({ type: FrameType.PONG, session: 3 });
    flood(peer, 'wrong', 400);
    await until(() => turns.waiting.length > 0);

    turns.take();
    await peer.closed;

    expect(served).toHaveLength(400);
    expect(turns.waiting).toHaveLength(0);
  });
});

describe('Two sides that send each other much', () => {
  it('lose nothing by their turns', async () => {
    const limits = { maxUnsettled: 4096 };
    const { dialer, acceptor } = await connected(limits, limits);
    echo(acceptor);
    echo(dialer);
    const there = await dialer.createSession('there');
    const back = await acceptor.createSession('back');
    const sends = Array.from({ length: 3000 }, (_, at) => [
      there.send(Buffer.from(`${at}`)),
      back.send(Buffer.from(`${at}`)),
    ]).flat();

    const outcomes = await Promise.all(sends);

    const expected = Array.from({ length: 6000 }, (_, at) => `${at >> 1}`);
    expect(outcomes.map(({ data }) => data.toString())).toEqual(expected);
  });
});
