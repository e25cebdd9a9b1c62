/**
 * Sessions as an application holds them, and each session on one connection. The simulation keeps each event of the
 * protocol floor. If an event contradicts a promise, the life fails.
 */
import { FeedTurns } from '../../src/endpoint/common/feed-turns.js';
import type { Route } from '../../src/endpoint/api/route.js';
import {
  type ConnectionMachine,
  type Failure,
  type IncomingMessage,
  type OutgoingMessage,
  type SessionListener,
  SessionMachine,
} from '../../src/protocol/index.js';
import { Code, type Frame, idsAhead, type Meta, EMPTY } from '../../src/wire/index.js';
import { Attempt } from './attempt.js';
import { Delivery } from './delivery.js';
import type { End, Half } from './end.js';
import { Letter, type LetterOptions } from './letter.js';

/** A session, over all the connections that carry it in turn. */
export class AppSession {
  readonly end: End;
  readonly name: string;
  readonly byPeer: boolean;
  /** The route that the endpoint's messages need. */
  readonly route: Route;
  channel: Channel;
  hasEnded = false;

  constructor(end: End, half: Half, machine: SessionMachine, byPeer: boolean) {
    this.end = end;
    this.name = machine.name;
    this.byPeer = byPeer;
    this.channel = new Channel(this, half, machine);
    this.route = this.#route();
    end.sessions.push(this);
  }

  get isOpen(): boolean {
    const { state } = this.channel.machine;
    return state === 'OPENING' || state === 'OPEN';
  }

  get isPending(): boolean {
    return this.channel.machine.state === 'PENDING';
  }

  send(payload: Buffer, options: LetterOptions = {}): Letter {
    const letter = new Letter(this, payload, options);
    letter.submit();
    return letter;
  }

  accept(data: Buffer): void {
    if (this.channel.machine.accept({}, data, this.end.world.now())) this.channel.answer = data;
  }

  reject(): void {
    this.hasEnded = true;
    this.channel.machine.reject(Code.SESSION_REFUSED, 'no', EMPTY);
  }

  close(): void {
    this.hasEnded = true;
    this.channel.machine.end();
  }

  /** As the endpoint's `Session.move`: opens the session again on the connection that replaces the former one. */
  move(half: Half, connection: ConnectionMachine): void {
    if (this.byPeer || !this.isOpen) return;
    const { name, openMeta, openData, state } = this.channel.machine;
    const isOpening = state === 'OPENING';
    const timeout = isOpening ? this.channel.machine.timeLeft(half.end.world.now()) : Infinity;
    const machine = connection.openSession({
      name,
      meta: openMeta,
      data: openData,
      timeout,
    });
    this.channel = new Channel(this, half, machine);
  }

  #route(): Route {
    const { world, outage } = this.end;
    const machine = (): SessionMachine => this.channel.machine;
    return {
      get machine() {
        return machine();
      },
      context: {
        now: () => world.now(),
        messageTimeout: 0,
        explained: (failure) => failure,
        turns: new FeedTurns(world.time),
        refusal: (whenOffline) => outage.refusal(whenOffline),
        reportHandlerError: (error) => {
          world.time.guard(() => {
            throw error;
          });
        },
      },
    };
  }
}

/** A session on one connection. */
export class Channel implements SessionListener {
  readonly session: AppSession;
  readonly half: Half;
  readonly machine: SessionMachine;
  /** Whether OPEN has left. True if the other side writes OPEN. `Attempt` defines "left". */
  hasLeft: boolean;
  /** Messages whose handlers have started, in order of their start. */
  readonly deliveries: Delivery[] = [];
  readonly timeouts: IncomingMessage[] = [];
  /** `answer`: the data with which this side accepted the session. `opened`: the data that the opener has read. */
  answer: Buffer | undefined;
  opened: Buffer | undefined;
  closed: { readonly failure: Failure | undefined } | undefined;
  /** Whether the running flush has encoded OPEN. The flush hands OPEN to the socket when all frames are encoded. */
  #mayLeave = false;

  constructor(session: AppSession, half: Half, machine: SessionMachine) {
    this.session = session;
    this.half = half;
    this.machine = machine;
    this.hasLeft = session.byPeer;
    half.channels.push(this);
    machine.listener = this;
    machine.send = (message) => this.#send(message);
    if (machine.state === 'CLOSED') this.closed = { failure: undefined };
  }

  /** The time by which the session must be answered. Only the opener has it. */
  get deadline(): number {
    return this.machine.deadline;
  }

  /** The other side's channel of the same session. */
  get peer(): Channel | undefined {
    const { id } = this.machine;
    return id === 0 ? undefined : this.half.peer?.channelOf(id);
  }

  /** Whether the opener was told that the other side has not seen the session, and that no message of it ran. */
  get isNotOpened(): boolean {
    const { failure } = this.closed ?? {};
    return failure?.executed === 'no' && failure.kind !== 'session-rejected';
  }

  /** OPEN leaves. */
  onFirst(frame: Frame): void {
    this.hasLeft = true;
    if (this.closed !== undefined && !this.#mayLeave) {
      throw new Error(`OPEN of "${this.session.name}" leaves after its end, as ${frame.session}.`);
    }
  }

  onOpened(_meta: Meta, data: Buffer): void {
    const { end } = this.half;
    end.world.time.guard(() => {
      const answer = this.peer?.answer;
      if (this.opened !== undefined || answer?.equals(data) !== true) {
        throw new Error(`"${this.session.name}" is told to be open, and is not, or not so.`);
      }
      this.opened = data;
    });
    // The endpoint does the same for code that awaits the session.
    end.continuity.driver?.hold();
  }

  onClosed(failure: Failure | undefined): void {
    this.half.end.world.time.guard(() => this.#close(failure));
  }

  onMessage(incoming: IncomingMessage): void {
    const { end, peer } = this.half;
    end.world.time.guard(() => {
      const attempt = peer?.find(this.machine.id, incoming.id);
      if (attempt === undefined) {
        throw new Error(`Nobody sent message ${incoming.id} of session ${this.machine.id}.`);
      }
      const delivery = new Delivery(this, incoming, attempt);
      attempt.onDelivery(delivery);
      if (!attempt.letter.payload.equals(incoming.data)) {
        throw new Error(`${attempt.name} has changed.`);
      }
      const earlier = this.deliveries.at(-1);
      if (earlier !== undefined && idsAhead(incoming.id, earlier.incoming.id) < 2 ** 30) {
        throw new Error(`${attempt.name} is handled after message ${earlier.incoming.id}.`);
      }
      this.deliveries.push(delivery);
      end.world.trace(`${attempt.name} is handled`);
      end.onDelivery(delivery);
    });
  }

  onMessageTimeout(incoming: IncomingMessage): void {
    this.half.end.world.time.guard(() => {
      if (this.timeouts.includes(incoming))
        throw new Error(`Message ${incoming.id} expires twice.`);
      this.timeouts.push(incoming);
    });
  }

  /**
   * The endpoint sends a message in the session. From here on, the attempt checks each event of the message against
   * the real events.
   */
  #send(message: OutgoingMessage): void {
    const { half, machine } = this;
    const { sending } = half.end.world;
    if (sending === undefined) throw new Error('Nobody is known to send this.');
    const attempt = new Attempt(sending, this, message);
    sending.attempts.push(attempt);
    half.attempts.push(attempt);
    watch(message, attempt);
    SessionMachine.prototype.send.call(machine, message);
  }

  #close(failure: Failure | undefined): void {
    const { name } = this.session;
    if (this.closed !== undefined) throw new Error(`"${name}" is closed twice.`);
    this.closed = { failure };
    this.#mayLeave = !this.hasLeft && !this.machine.isUnwritten;
    if (failure === undefined) return;
    const { kind, executed } = failure;
    if (!this.hasLeft && !this.#mayLeave && executed !== 'no') {
      throw new Error(`"${name}" ends: ${kind}, ${executed}; and its OPEN has not left.`);
    }
    if (kind === 'session-timeout' && !this.half.machine.hasBegun) {
      throw new Error(`The time of "${name}" is over before there was a socket for its OPEN.`);
    }
    // A drain may end sessions without messages. It ends no message.
    if (this.half.bond?.isDraining === true && kind === 'connection-closed') return;
    this.half.checkFailure(failure, `"${name}"`);
  }
}

/** Reports each event of a message to its attempt before the endpoint sees the event. */
function watch(message: OutgoingMessage, attempt: Attempt): void {
  const onOutcome = message.onOutcome.bind(message);
  const onFailure = message.onFailure.bind(message);
  const onSent = message.onSent.bind(message);
  const { letter } = attempt;
  const tell = (body: () => void, then: () => void): void => {
    letter.session.end.world.time.guard(body);
    letter.asSender(then);
  };
  message.onOutcome = (type, meta, data) => {
    tell(
      () => attempt.onOutcome(type, meta),
      () => onOutcome(type, meta, data),
    );
  };
  message.onFailure = (failure) => {
    tell(
      () => attempt.onFailure(failure),
      () => onFailure(failure),
    );
  };
  message.onSent = () => {
    tell(() => attempt.onSent(), onSent);
  };
}
