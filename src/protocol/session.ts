/**
 * A named, ordered channel of a connection.
 *
 *     opener:    opening ──OPENED──► open ──END sent or seen──► ending ──both, all settled──► closed
 *                   └──END (refused), timeout──────────────────────────────────────────────► ▲
 *     acceptor:  pending ──accept──► open …                                                   │
 *                   └──reject, timeout────────────────────────────────────────────────────────┘
 *
 * An opener sends at once, without waiting for OPENED; the acceptor holds those messages until its
 * application has decided, and refuses them unstarted with the session.
 */
import {
  Code,
  codeName,
  EMPTY_META,
  encodeMeta,
  FrameType,
  type Meta,
  ProtocolError,
} from '../wire/index.js';
import type { Failure } from './failure.js';
import type { IncomingMessage } from './incoming-message.js';
import type { OutgoingMessage } from './outgoing-message.js';
import { type ReceiverEvents, SessionReceiver } from './session-receiver.js';
import { SessionSender } from './session-sender.js';
import type { SessionHost } from './session-host.js';
import { ControlUnit, EMPTY } from './unit.js';

export interface SessionListener extends ReceiverEvents {
  /** The other side accepted the session that this side opened. */
  onOpened(meta: Meta, data: Buffer): void;
  /** The session is over: in order (no failure), refused, aborted or lost. Called once. */
  onClosed(failure: Failure | undefined): void;
}

export type SessionState =
  | { readonly kind: 'opening'; readonly deadline: number }
  | { readonly kind: 'pending'; readonly deadline: number }
  | { readonly kind: 'open' }
  | { readonly kind: 'ending'; endSent: boolean; endSeen: boolean }
  | { readonly kind: 'closed' };

/** What the connection does for its sessions beyond what their halves need. */
export interface SessionOwner extends SessionHost {
  /** The session has closed and may be forgotten. */
  forget(session: SessionMachine): void;
}

export class SessionMachine {
  readonly name: string;
  /** What OPEN carried, at the acceptor. */
  readonly openMeta: Meta;
  readonly openData: Buffer;
  readonly sender: SessionSender;
  /** Set by the application's side before anything can arrive. */
  listener: SessionListener = UNHEARD;
  readonly #owner: SessionOwner;
  #id = 0;
  #receiver: SessionReceiver | undefined;
  #state: SessionState;

  private constructor(
    owner: SessionOwner,
    name: string,
    meta: Meta,
    data: Buffer,
    state: SessionState,
  ) {
    this.name = name;
    this.openMeta = meta;
    this.openData = data;
    this.#owner = owner;
    this.#state = state;
    // OPEN's own credit, where it bears one, replaces the default of the connection.
    const { messages, bytes } = meta.sessionCredit ?? {
      messages: owner.peer.messages,
      bytes: owner.peer.sessionBytes,
    };
    this.sender = new SessionSender(owner, messages, bytes, () => this.#progress());
  }

  /** A session of this side. It has no number until `start`. */
  static opening(
    owner: SessionOwner,
    name: string,
    meta: Meta,
    data: Buffer,
    deadline: number,
  ): SessionMachine {
    if (deadline !== Infinity) owner.arm(deadline);
    const session = new SessionMachine(owner, name, meta, data, { kind: 'opening', deadline });
    return session;
  }

  /** A session that the other side has opened. */
  static pending(
    owner: SessionOwner,
    id: number,
    meta: Meta,
    data: Buffer,
    deadline: number,
  ): SessionMachine {
    const state: SessionState = { kind: 'pending', deadline };
    const session = new SessionMachine(owner, meta.name ?? '', meta, data, state);
    session.#setId(id);
    if (deadline !== Infinity) owner.arm(deadline);
    return session;
  }

  /** 0 while the session has no number yet. */
  get id(): number {
    return this.#id;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Exists once the session has its number. */
  get receiver(): SessionReceiver | undefined {
    return this.#receiver;
  }

  /** Writes OPEN under the number that the connection gives. */
  start(id: number, now: number): void {
    this.#setId(id);
    const meta: Meta = { ...this.openMeta, name: this.name };
    const deadline = this.#state.kind === 'opening' ? this.#state.deadline : Infinity;
    const remaining = { deadline: Math.max(1, Math.ceil(deadline - now)) };
    this.#push(
      FrameType.OPEN,
      deadline === Infinity ? meta : { ...remaining, ...meta },
      this.openData,
    );
    this.sender.start(id);
  }

  // Commands of the application.

  accept(meta: Meta, data: Buffer, now: number): boolean {
    if (this.#state.kind !== 'pending') return false;
    this.#push(FrameType.OPENED, meta, data);
    this.#state = { kind: 'open' };
    this.sender.start(this.#id);
    this.#receiver?.start(now);
    return true;
  }

  reject(code: number, reason: string, data: Buffer): boolean {
    if (this.#state.kind !== 'pending') return false;
    this.#push(FrameType.END, { code, text: reason }, data);
    this.#close({ ...ENDED, message: `This side rejected the session "${this.name}".` });
    return true;
  }

  send(message: OutgoingMessage): void {
    switch (this.#state.kind) {
      case 'opening':
      case 'pending':
      case 'open':
        return this.sender.send(message);
      case 'ending':
      case 'closed':
        message.state = 'settled';
        return message.onFailure({
          kind: 'session-closed',
          executed: 'no',
          message: `The session "${this.name}" is closed. Open it again to send.`,
        });
    }
  }

  settle(message: IncomingMessage, type: number, meta: Meta, payload: Buffer): boolean {
    const fields = meta === EMPTY_META ? EMPTY : encodeMeta(meta);
    return this.#receiver?.settle(message, type, fields, payload) ?? false;
  }

  /** Ends the session in order: what was sent is still settled, nothing new begins. */
  end(): void {
    switch (this.#state.kind) {
      case 'opening':
      case 'open':
        this.#state = { kind: 'ending', endSent: false, endSeen: false };
        return this.#progress();
      case 'pending':
        this.reject(Code.SESSION_REFUSED, 'The session was closed before it was accepted.', EMPTY);
        return;
      case 'ending':
      case 'closed':
        return;
    }
  }

  // Frames of the other side.

  onOpened(meta: Meta, data: Buffer, now: number): void {
    switch (this.#state.kind) {
      case 'opening':
        this.#state = { kind: 'open' };
        this.#receiver?.start(now);
        return this.listener.onOpened(meta, data);
      case 'ending':
        // This side asked to end before it was accepted.
        this.#receiver?.start(now);
        return;
      default:
        throw new ProtocolError(Code.PROTOCOL, `OPENED for session ${this.#id}, which is open.`);
    }
  }

  onEnd(meta: Meta, data: Buffer): void {
    const code = meta.code ?? Code.OK;
    const refused = this.#state.kind === 'opening';
    if (code !== Code.OK || refused) {
      // An abort is answered, so that both sides know that nothing follows; a refusal is the answer.
      if (!refused && !this.#endSent) this.#push(FrameType.END, {}, EMPTY);
      return this.#close(refused ? this.#refusal(code, meta, data) : aborted(code, meta, data));
    }
    switch (this.#state.kind) {
      case 'pending':
        this.#push(FrameType.END, {}, EMPTY);
        return this.#close(undefined);
      case 'open':
        this.#state = { kind: 'ending', endSent: false, endSeen: true };
        return this.#progress();
      case 'ending':
        if (this.#state.endSeen) {
          throw new ProtocolError(Code.PROTOCOL, `Session ${this.#id} ends twice.`);
        }
        this.#state.endSeen = true;
        return this.#progress();
      case 'opening':
      case 'closed':
        return;
    }
  }

  /** A frame that begins something new is illegal after the other side's END. */
  checkOpen(): void {
    if (this.#state.kind === 'ending' && this.#state.endSeen) {
      throw new ProtocolError(Code.PROTOCOL, `SEND on session ${this.#id} after its END.`);
    }
  }

  /** Returns the next deadline. */
  onTime(now: number): number {
    const state = this.#state;
    let next = Math.min(this.sender.onTime(now), this.#receiver?.onTime(now) ?? Infinity);
    if (state.kind === 'opening' || state.kind === 'pending') {
      if (state.deadline <= now) this.#expire();
      else next = Math.min(next, state.deadline);
    }
    return next;
  }

  /** The connection is over. */
  fail(failure: Failure): void {
    this.#close(failure);
  }

  #expire(): void {
    const text = `The session "${this.name}" was neither accepted nor rejected in time.`;
    if (this.#id !== 0) this.#push(FrameType.END, { code: Code.SESSION_TIMEOUT, text }, EMPTY);
    this.#close({ kind: 'timeout', executed: 'maybe', message: text });
  }

  #refusal(code: number, meta: Meta, data: Buffer): Failure {
    const reason = meta.text ?? '';
    return {
      kind: code === Code.SESSION_TIMEOUT ? 'timeout' : 'session-rejected',
      executed: 'no',
      message: `The session "${this.name}" was rejected: ${codeName(code)}${reason && `, ${reason}`}.`,
      code,
      reason,
      data,
    };
  }

  get #endSent(): boolean {
    return this.#state.kind === 'closed' || (this.#state.kind === 'ending' && this.#state.endSent);
  }

  #setId(id: number): void {
    this.#id = id;
    this.#receiver = new SessionReceiver(
      this.#owner,
      id,
      this.sender,
      {
        onMessage: (message) => this.listener.onMessage(message),
        onMessageTimeout: (message) => this.listener.onMessageTimeout(message),
      },
      () => this.#progress(),
    );
  }

  /** Takes an ending session on, as far as it has come. */
  #progress(): void {
    const state = this.#state;
    if (state.kind !== 'ending' || this.#id === 0) return;
    if (!state.endSent && this.sender.isFlushed) {
      this.#push(FrameType.END, {}, EMPTY);
      state.endSent = true;
    }
    const unsettled = this.sender.unsettled + (this.#receiver?.unsettled ?? 0);
    if (state.endSent && state.endSeen && unsettled === 0) this.#close(undefined);
  }

  #close(failure: Failure | undefined): void {
    if (this.#state.kind === 'closed') return;
    this.#state = { kind: 'closed' };
    this.#owner.forget(this);
    this.sender.fail(failure ?? ENDED);
    this.#receiver?.fail();
    this.listener.onClosed(failure);
  }

  #push(type: number, meta: Meta, data: Buffer): void {
    this.#owner.output.push(new ControlUnit(type, this.#id, 0, encodeMeta(meta), data));
    this.#owner.wake();
  }
}

function aborted(code: number, meta: Meta, data: Buffer): Failure {
  return {
    kind: 'session-closed',
    executed: 'maybe',
    message: `The other side ended the session: ${codeName(code)}${meta.text === undefined ? '' : `, ${meta.text}`}.`,
    code,
    reason: meta.text ?? '',
    data,
  };
}

const ENDED: Failure = {
  kind: 'session-closed',
  executed: 'no',
  message: 'The session was closed.',
};

const UNHEARD: SessionListener = {
  onOpened: () => undefined,
  onClosed: () => undefined,
  onMessage: () => undefined,
  onMessageTimeout: () => undefined,
};
