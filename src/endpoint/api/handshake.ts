/** The `Handshake` of the API: a dialer that asks for a connection, as the listener's application sees it. */
import { cutText, MAX_CONNECT_DATA, type ListenerHandshake } from '../../protocol/index.js';
import { Code, MAX_TEXT, EMPTY } from '../../wire/index.js';
import { type Bytes, toBufferOrEmpty } from '../common/bytes.js';
import { checkCode, checkReason } from '../common/codes.js';
import { optionError } from '../common/errors.js';
import type { Peer } from '../common/peer.js';
import { inspectShort } from '../common/words.js';

/** Call `accept` or `reject`; if neither is called within `handshakeTimeout`, the dialer is refused. */
export class Handshake {
  /** The dialer: its address, and its certificate if TLS asked for one. */
  readonly peer: Peer;
  /**
   * The name in the dialer's verified certificate, as the listener's option `identify` says. Empty without the option,
   * and for a dialer without a verified certificate.
   */
  readonly identity: string;
  // A private field, so that an inspection does not show the data: it may be credentials.
  readonly #data: Buffer;
  readonly #handshake: ListenerHandshake;
  readonly #admit: (data: Buffer, principal: string) => void;
  /** @internal Resolves when the dialer is accepted or refused, or has gone. */
  readonly settled: Promise<void>;
  #resolveSettled: () => void = () => undefined;
  /** @internal Called once: the dialer is accepted or refused, or has gone. */
  onSettled: () => void = () => undefined;
  /** @internal Called once: the application refused the dialer for what it is, and not for want of room. */
  onRefused: () => void = () => undefined;
  #isSettled = false;
  #isDecided = false;

  /** @internal */
  constructor(
    data: Buffer,
    { peer, identity }: { readonly peer: Peer; readonly identity: string },
    handshake: ListenerHandshake,
    admit: (data: Buffer, principal: string) => void,
  ) {
    this.#data = data;
    this.peer = peer;
    this.identity = identity;
    this.#handshake = handshake;
    this.#admit = admit;
    this.settled = new Promise((resolve) => (this.#resolveSettled = resolve));
  }

  /** @internal There is nothing to decide any more. */
  end(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#resolveSettled();
    this.onSettled();
  }

  /**
   * The bytes that the dialer provided: credentials, a name, or anything else that the two applications agreed on.
   * Inspection of a handshake does not show them.
   */
  get data(): Buffer {
    return this.#data;
  }

  /**
   * Accepts the dialer. `data` (at most 15 KiB) becomes the dialer's `connection.data`. `principal` names the dialer,
   * as this judgement found (default: `identity`): only a dialer with the same principal may resume the connection on another socket. That
   * dialer is judged as well. A certificate counts in any case. A second call does nothing.
   */
  accept(data?: Bytes, principal = this.identity): void {
    if (typeof principal !== 'string') {
      throw optionError(
        `The principal of a handshake must be a string, and is ${inspectShort(principal)}.`,
      );
    }
    this.#admit(checkData(data), principal);
    this.#isDecided = true;
    this.end();
  }

  /**
   * Refuses the dialer: its `connect` rejects with this code, reason and data. Default code: `Code.UNAUTHENTICATED`.
   * Reason and data together have at most 15 KiB.
   */
  reject(code: number = Code.UNAUTHENTICATED, reason = '', data?: Bytes): void {
    checkCode(code, CODES, 'handshake.reject');
    const room = MAX_CONNECT_DATA - Buffer.byteLength(checkReason(reason, MAX_TEXT));
    this.#handshake.refuse(code, reason, checkData(data, room));
    this.#refused(code !== Code.OVERLOADED);
  }

  /** @internal The listener itself refuses the dialer because of its certificate. */
  refuse(reason: string): void {
    this.#handshake.refuse(Code.UNAUTHENTICATED, cutText(reason), EMPTY);
  }

  /** @internal The application's `authenticate` threw an error. */
  fail(): void {
    this.#handshake.refuse(Code.INTERNAL, 'The handshake could not be judged.', EMPTY);
    this.#refused(true);
  }

  /** @internal The dialer is not judged: its address was refused too often. */
  throttle(): void {
    this.#handshake.refuse(Code.OVERLOADED, THROTTLED, EMPTY);
    this.end();
  }

  /** A dialer that has gone before the answer has made its attempt too. */
  #refused(counts: boolean): void {
    if (!this.#isDecided && counts) this.onRefused();
    this.#isDecided = true;
    this.end();
  }
}

function checkData(data: Bytes | undefined, room: number = MAX_CONNECT_DATA): Buffer {
  const bytes = toBufferOrEmpty(data, 'The data of a handshake');
  if (bytes.length <= room) return bytes;
  throw optionError(`The data of a handshake has ${bytes.length} bytes; at most ${room} fit.`);
}

const THROTTLED = 'Dialers of this address were refused too often. Wait before the next attempt.';
const CODES = [Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.OVERLOADED];
