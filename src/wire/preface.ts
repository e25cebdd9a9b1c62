// The preface: the first eight octets that each side sends on a socket. They are F1 "INTC" CR LF version.
//
// Neither text nor TLS nor any protocol that `speaker.ts` knows starts with F1. A relay that translates line ends changes
// CR LF. So the first octets already reveal a peer that does not speak this protocol.

import { Code } from './codes.js';
import { EMPTY, PREFACE_LENGTH, VERSION } from './constants.js';
import { ProtocolError } from './protocol-error.js';
import { type Speaker, speakerOf } from './speaker.js';

/** The preface without its last octet, the version. */
const MAGIC = Buffer.from([0xf1, 0x49, 0x4e, 0x54, 0x43, 0x0d, 0x0a]);

/** Returns the preface, in a new buffer. [IC-3.1] */
export function encodePreface(version: number = VERSION): Buffer {
  return Buffer.from([...MAGIC, version]);
}

/** Recognises the other side's preface, even if it arrives in several chunks. */
export class PrefaceDecoder {
  #length = 0;
  #version: number | undefined;

  /**
   * The version in the other side's preface. The decoder does not check whether this side speaks that version. `undefined`
   * until the preface is whole.
   */
  get version(): number | undefined {
    return this.#version;
  }

  /** The number of octets of the preface that have arrived. */
  get length(): number {
    return this.#length;
  }

  /**
   * Takes octets of the preface from the start of `chunk`, and returns their number.
   *
   * @throws StrangerError at the first wrong octet. The message of this error is for the log of this side: a peer that
   * speaks another protocol gets no answer.
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

/** The other side does not speak this protocol. */
export class StrangerError extends ProtocolError {
  /** The protocol that the other side probably speaks. */
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
