// The first eight octets each way on every socket: F1 "INTC" CR LF version.
//
// F1 starts neither text nor TLS nor another protocol we know of; CR LF does not survive a relay
// that translates line ends; so whoever is not meant is found out at the first octets.

import { Code } from './codes.js';
import { EMPTY, PREFACE_LENGTH, VERSION } from './constants.js';
import { ProtocolError } from './protocol-error.js';
import { type Speaker, speakerOf } from './speaker.js';

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

  /** How many octets have been taken. */
  get length(): number {
    return this.#length;
  }

  /**
   * Takes what belongs to the preface from the start of `chunk`, and returns how many octets that was.
   * @throws StrangerError at the first wrong octet. Its message is for this side's log: whoever speaks another protocol
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

/** Somebody who does not speak this protocol. */
export class StrangerError extends ProtocolError {
  /** Who that might be. */
  readonly speaker: Speaker;

  constructor(message: string, speaker: Speaker) {
    super(Code.PROTOCOL, message);
    this.speaker = speaker;
  }
}

function stranger(position: number, rest: Buffer): StrangerError {
  const octet = `0x${rest.toString('hex', 0, 1)}`;
  const expected = `0x${MAGIC.toString('hex', position, position + 1)}`;
  const fault = `Octet ${position} of the preface is ${octet} instead of ${expected}.`;
  const speaker = speakerOf(position === 0 ? rest : EMPTY);
  const isKnown = speaker.kind !== 'unknown';
  return new StrangerError(isKnown ? `${fault} This looks like ${speaker.name}.` : fault, speaker);
}
