/** The first octets on a socket, and peers that do not speak the protocol. */
import { Code, encodePreface, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { GENEROUS } from '../limits.js';
import { demand, Skip } from '../mismatch.js';
import { close, frame } from '../octets.js';
import { pause } from '../waits.js';

/** First octets that a listener may get from other programs. */
const STRANGERS: readonly (readonly [id: string, who: string, octets: Buffer])[] = [
  ['M1.a', 'HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['M1.b', 'HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  ['M1.c', 'AMQP', Buffer.from('AMQP\0\0\x09\x01', 'latin1')],
  ['M1.d', 'SSH', Buffer.from('SSH-2.0-x\r\n')],
  ['M1.e', 'one octet of 0x00', Buffer.from([0])],
  ['M3', 'a preface that has lost its CR', Buffer.from('f1494e54430a01', 'hex')],
  ['M1.f', 'a preface whose last octet before the version is wrong', wrongPreface()],
];

export const prefaceCases: readonly ConformanceCase[] = [
  ...STRANGERS.map(([name, who, octets]): ConformanceCase => ({
    id: `malformed/${name}`,
    clauses: ['2.4', '3.2', '12.14'],
    sentence: `${who}: the socket is destroyed without an octet`,
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      peer.write(octets);
      await peer.drops();
    },
  })),
  {
    id: 'malformed/M2',
    clauses: ['3.2', '12.14'],
    sentence: 'a TLS handshake on a plaintext port: the socket is destroyed without an octet',
    role: 'listener',
    run: async (subject) => {
      if (subject.isEncrypted) throw new Skip('the port is not a plaintext one');
      const peer = await subject.connect();
      peer.write(Buffer.from('16030100c8010000c40303', 'hex'));
      await peer.drops();
    },
  },
  {
    id: 'malformed/M1.g',
    clauses: ['3.2', '12.14'],
    sentence: 'a listener that speaks HTTP: the dialer destroys the socket and writes no CLOSE',
    role: 'dialer',
    run: async (subject) => {
      const peer = await subject.connect();
      await peer.frame(FrameType.HELLO);
      peer.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
      await peer.endsInSilence();
    },
  },
  {
    id: 'malformed/M4.a',
    clauses: ['2.4', '2.6', '12.14'],
    sentence:
      'a preface whose last octet does not come: the socket is destroyed without an octet at ' +
      'the handshake timeout',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      for (const octet of encodePreface().subarray(0, 7)) {
        await peer.writeSlowly(Buffer.from([octet]));
      }
      await peer.drops();
    },
  },
  {
    id: 'malformed/M4.b',
    clauses: ['2.6', '12.14'],
    sentence:
      'a listener that says nothing: the dialer destroys the socket at the handshake timeout and ' +
      'writes no CLOSE',
    role: 'dialer',
    run: async (subject) => {
      const peer = await subject.connect();
      await peer.frame(FrameType.HELLO);
      await peer.endsInSilence();
    },
  },
  {
    id: 'malformed/M5',
    clauses: ['3.5'],
    sentence: 'version 0: a preface, then CLOSE(VERSION)',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      peer.write(encodePreface(0));
      await peer.closes(Code.VERSION);
    },
  },
  {
    id: 'malformed/M6',
    clauses: ['3.4'],
    sentence: 'version 255: a preface of a lower version, and the connection stands',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      peer.write(encodePreface(255));
      const version = await peer.until('a preface', () => peer.version);
      demand(version >= 1 && version < 255, 'a version from 1 to 254', version);
      if (version !== 1) throw new Skip(`the listener speaks version ${version}`);
      peer.write(frame(FrameType.HELLO, { meta: GENEROUS }));
      await peer.frame(FrameType.WELCOME);
    },
  },
  ...[0, 255].map((version, index): ConformanceCase => ({
    id: `malformed/M106.${'ab'[index]}`,
    clauses: ['3.6'],
    sentence: `a listener that answers version ${version}: CLOSE(VERSION)`,
    role: 'dialer',
    run: async (subject) => {
      const peer = await subject.connect();
      await peer.frame(FrameType.HELLO);
      peer.write(encodePreface(version));
      await peer.closes(Code.VERSION);
    },
  })),
  {
    id: 'handshake/first-octets',
    clauses: ['2.3', '3.1', '3.3', '3.7'],
    sentence: 'the first octets of a dialer are the preface and HELLO, and nothing follows them',
    role: 'dialer',
    run: async (subject) => {
      const peer = await subject.connect();
      await peer.frame(FrameType.HELLO);
      demand(peer.version === 1, 'version 1', peer.version ?? 'none');
      // The dialer has the listener's preface, and must still wait for WELCOME.
      await peer.writeSlowly(encodePreface());
      await pause(subject.patience);
      const [early] = peer.frames;
      demand(early === undefined, 'no frame before WELCOME', `type ${early?.type}`);
      peer.write(close(Code.OVERLOADED));
      await peer.endsInSilence();
      demand(peer.frames.length === 0, 'no frame before WELCOME', peer.frames.length);
    },
  },
  {
    id: 'handshake/octet-by-octet',
    clauses: ['2.5', '3.1'],
    sentence: 'preface and HELLO that come octet by octet: preface and WELCOME',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      const hello = frame(FrameType.HELLO, { meta: GENEROUS });
      for (const octet of Buffer.concat([encodePreface(), hello])) {
        await peer.writeSlowly(Buffer.from([octet]));
      }
      await peer.frame(FrameType.WELCOME);
    },
  },
];

function wrongPreface(): Buffer {
  const octets = encodePreface();
  octets[6] = 0x0d;
  return octets;
}
