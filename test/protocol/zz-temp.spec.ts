import { it } from '@jest/globals';
import { Flag, FrameType } from '../../src/wire/index.js';
import { SimPair } from '../support/sim-pair.js';
import { SimPeer } from '../support/sim-peer.js';

it('relief', () => {
  for (const [n, maxMeta] of [[6990, 8192], [10, 8192], [0, 2048]] as const) {
    const metaLen = (n === 0 ? 0 : 5 + n) + 11;
    const M = 131072 + 100 - metaLen;
    const L = Math.min(65536, 8199 + maxMeta);
    const W = M + L + maxMeta + 11;
    const pair = SimPair.open({ limits: { maxMessage: M, connectionBytes: W, maxMeta } });
    pair.listener.onMessage = (m) => void m.accept();
    const { dialer } = pair.join();
    const out: string[] = [];
    for (let i = 0; i < 3; i++) {
      const send = dialer.send(Buffer.alloc(M), n === 0 ? {} : { metadata: [['x', 'y'.repeat(n)]] as never });
      pair.run();
      out.push(send.outcome);
    }
    console.log(n, maxMeta, pair.dialer.connection.peer.maxMessage === M, JSON.stringify(out));
  }
});

it('8.4', () => {
  const limits = { maxFrame: 16384, maxMeta: 8192, maxMessage: 49152, sessions: 8, connectionBytes: 65536, messages: 4, sessionBytes: 32768 };
  const peer = SimPeer.greeted('listener', { limits });
  const send = (type: number, flags: number, id: number, payload: number, meta = {}) => {
    peer.send({ type, flags, session: 1, id, meta, payload: Buffer.alloc(payload) });
    console.log(type, id, payload, '\n', peer.lines().join('\n '));
  };
  peer.side.onMessage = (m) => void m.accept();
  peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'x' } });
  console.log(peer.lines());
  send(FrameType.SEND, 0, 1, 4096, { deadline: 60000 });
  send(FrameType.SEND, 0, 2, 8000, { deadline: 60000 });
  send(FrameType.SEND, Flag.MORE, 3, 16366, { deadline: 60000, total: 40000 });
  send(FrameType.FRAG, Flag.MORE, 3, 16384);
  send(FrameType.FRAG, 0, 3, 7250);
});

it('single settlement', () => {
  const peer = SimPeer.greeted('dialer', { limits: { maxMessage: 10 } });
  const s = peer.side.session('test');
  const a = s.send('a'); const b = s.send('b');
  peer.flush();
  peer.send({ type: FrameType.OPENED, session: 1 });
  peer.send({ type: FrameType.ACCEPT, flags: 2, session: 1, id: 1, meta: { total: 99 }, payload: Buffer.from('x') });
  peer.send({ type: FrameType.ACCEPT, flags: 2, session: 1, id: 2, payload: Buffer.alloc(30) });
  console.log(a.outcome, b.outcome, peer.side.status);
});

it('dribble', () => {
  for (const idle of [30000, 0]) {
    const peer = SimPeer.greeted('listener', { limits: { idle } }, { idle });
    peer.bytes(Buffer.from('20000000', 'hex'));
    for (let i = 0; i < 100 && peer.side.closed === undefined; i++) { peer.advance(1000); if (i < 11) peer.bytes(Buffer.alloc(1)); else peer.send(); }
    console.log(idle, peer.side.status, peer.clock.now(), peer.lines().slice(-1));
    // slow body
    const p2 = SimPeer.greeted('listener', { limits: { idle } }, { idle });
    p2.bytes(Buffer.from('80000000000001000000000000000000', 'hex'));
    let i = 0;
    for (; i < 200 && p2.side.closed === undefined; i++) { p2.advance(1000); if (p2.side.closed === undefined) p2.bytes(Buffer.alloc(1)); }
    console.log('slow', idle, p2.side.status, i, p2.lines().slice(-1));
  }
});
it('late keepalive pong', () => {
  const peer = SimPeer.greeted('listener', { limits: { idle: 0 } }, { idle: 30 });
  const pings: number[] = [];
  for (let i = 0; i < 3000 && peer.side.closed === undefined; i++) {
    peer.advance(10);
    for (const l of peer.lines()) { const m = /PING token=(\d+)/.exec(l); if (m) pings.push(Number(m[1])); }
    if (pings.length > 2) peer.send({ type: FrameType.PONG, id: pings.shift()! });
    peer.send({ type: FrameType.PING, id: i });
  }
  console.log(peer.side.status, pings.length, peer.lines().slice(-1), peer.clock.now());
});
