// The first eight octets each way on every socket: F1 "INTC" CR LF version.
//
// F1 starts neither text nor TLS nor another protocol we know of; CR LF does not survive a relay
// that translates line ends; so whoever is not meant is found out at the first octets.

import { Code } from './codes.js';
import { PREFACE_LENGTH, VERSION } from './constants.js';
import { ProtocolError } from './protocol-error.js';

/** The preface without its last octet, the version. */
const MAGIC = Buffer.from([0xf1, 0x49, 0x4e, 0x54, 0x43, 0x0d, 0x0a]);

/** What a side sends first on a socket. [IC-3.1] */
export function encodePreface(version: number = VERSION): Buffer {
  return Buffer.from([...MAGIC, version]);
}

/** Recognises the preface, however it is cut. */
export class PrefaceDecoder {
  #length = 0;
  #version: number | undefined;

  /**
   * What the other side put into the last octet, legal or not; `undefined` until the preface is
   * whole.
   */
  get version(): number | undefined {
    return this.#version;
  }

  /**
   * Takes what belongs to the preface from the start of `chunk` and returns how many octets that
   * was. Throws a {@link ProtocolError} at the first wrong octet; its message guesses who is
   * speaking and is for this side's log only: that someone does not understand this protocol, and
   * gets no answer.
   */
  push(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#version === undefined) {
      const octet = chunk[at]!;
      if (this.#length === PREFACE_LENGTH - 1) this.#version = octet;
      else if (octet !== MAGIC[this.#length]) throw stranger(this.#length, chunk.subarray(at));
      this.#length += 1;
      at += 1;
    }
    return at;
  }
}

/** How others start to speak. */
const OPENINGS: readonly (readonly [start: string, who: string])[] = [
  ['\x16\x03', 'a TLS handshake on a plaintext port'],
  ['PRI * HTTP/2', 'an HTTP/2 client'],
  ['HTTP/', 'an HTTP server'],
  ...['GET ', 'POST ', 'PUT ', 'HEAD ', 'OPTIONS ', 'PATCH ', 'DELETE ', 'CONNECT '].map(
    (verb) => [verb, 'an HTTP client'] as const,
  ),
  ['SSH-', 'an SSH peer'],
  ['AMQP', 'an AMQP peer'],
];

function stranger(position: number, rest: Buffer): ProtocolError {
  const octet = `0x${rest.toString('hex', 0, 1)}`;
  const expected = `0x${MAGIC.toString('hex', position, position + 1)}`;
  const fault = `Octet ${position} of the preface is ${octet} instead of ${expected}.`;
  const guess = position === 0 ? guessSpeaker(rest) : undefined;
  return new ProtocolError(
    Code.PROTOCOL,
    guess === undefined ? fault : `${fault} This looks like ${guess}.`,
  );
}

/**
 * Compares as far as there is something to compare: the rest of the opening may not have arrived.
 */
function guessSpeaker(bytes: Buffer): string | undefined {
  const start = bytes.toString('latin1', 0, 16);
  return OPENINGS.find(([opening]) => opening.startsWith(start) || start.startsWith(opening))?.[1];
}
