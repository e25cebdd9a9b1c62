/**
 * A machine, the application above it, and octets from any peer. The life checks promises that hold for any octets:
 * nothing is thrown, the output is legal, everything ends once, and nothing is held afterwards.
 */
import { limitsToMeta } from '../../src/protocol/flow/limits.js';
import { DEFAULT_LIMITS } from '../../src/protocol/index.js';
import {
  Capability,
  encodeFrame,
  encodePreface,
  FrameType,
  type Meta,
  nextId,
  ProtocolError,
} from '../../src/wire/index.js';
import { ManualClock } from '../support/sim/manual-clock.js';
import type { SimMessage, SimSend, SimSession } from '../support/sim/sim-application.js';
import { SimSide } from '../support/sim/sim-side.js';
import { OutputCheck } from './output-check.js';
import type { Scene } from './scene.js';

export class Life {
  readonly clock = new ManualClock();
  readonly side: SimSide;
  readonly scene: Scene;
  /** Sessions that the application has not decided about, and messages whose handlers run, the oldest first. */
  readonly pending: SimSession[] = [];
  readonly running: SimMessage[] = [];
  sessions: SimSession[] = [];
  sends: SimSend[] = [];
  /** Whether the socket takes no output. */
  isBlocked = false;
  /** Whether the kernel takes written octets at once. */
  isTaken = true;
  #isHeld = false;
  readonly #check: OutputCheck;
  readonly #lastIds = new Map<SimSession, number>();
  /** The connection, once there is one. */
  #connection: SimSide['connection'] | undefined;

  constructor(role: 'dialer' | 'listener', scene: Scene) {
    const { own: limits, queue, lastId } = scene;
    this.scene = scene;
    this.#check = new OutputCheck(lastId !== 0);
    const token = scene.canResume ? { token: TOKEN } : {};
    this.side = new SimSide(role, this.clock, { limits, queue, lastId, ...token });
    // The naive codec reads the output instead. The memory of a log would look like memory of the machine.
    this.side.log.push = () => undefined;
    this.side.afterTimer = () => this.flush();
    this.side.onSession = (session) => this.#onSession(session);
    this.side.onMessage = (message) => this.#onMessage(message);
    this.flush();
  }

  get isOver(): boolean {
    return (this.side.closed ?? this.side.lost) !== undefined;
  }

  /** Does the handshake, and then the first actions that the scene gives to the application. */
  greet(): void {
    this.#greet({});
    if (this.side.status !== 'open') throw new Error(`The handshake failed: ${this.side.status}.`);
    for (let count = 0; count < this.scene.sessions; count++) {
      const session = this.open('own', Infinity);
      for (const { size, oneWay } of this.scene.sends) {
        if (session !== undefined) this.send(session, size, oneWay, this.scene.timeout);
      }
    }
    this.flush();
  }

  /**
   * Loses the socket and goes on with the connection on another one. The last `missing` written frames have not
   * arrived, unless the other side has acknowledged them.
   */
  renew(missing: number): void {
    const { side } = this;
    if (!this.scene.canResume || side.closed !== undefined || side.status !== 'open') return;
    if (side.lost === undefined) side.lose();
    const { connection } = side;
    const received = this.#check.renew(missing, connection.output.sent.acknowledged);
    if (!connection.canResume(received)) {
      throw new Error(`It cannot go on after ${received} frames, which it has written.`);
    }
    side.renew();
    this.flush();
    const { role } = side;
    this.#greet(role === 'listener' ? { resume: { ...TOKEN, received } } : { resumed: received });
  }

  /** The other side's octets arrive. */
  receive(chunk: Buffer): void {
    this.side.receive(chunk);
    this.release();
    this.flush();
    this.prune();
  }

  /** Makes the machine write its pending output, as its driver does at the end of a tick. */
  flush(): void {
    const { side } = this;
    if (this.isBlocked) {
      // A socket that has ended and takes nothing is not asked again.
      if (side.woken && !this.isOver) this.#write(0);
      return;
    }
    while (side.woken && !side.aborted) this.#write(side.room);
  }

  /** Holds back the output of the application for one chunk, as a driver does. */
  hold(): void {
    this.#isHeld = true;
    this.side.machine.hold();
  }

  release(): void {
    if (this.#isHeld) this.side.machine.release(this.clock.now());
    this.#isHeld = false;
  }

  /** Runs an action that the machine may refuse. Returns `undefined` if the machine refuses it. */
  attempt<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      if (error instanceof ProtocolError) return undefined;
      throw error;
    }
  }

  open(name: string, timeout: number): SimSession | undefined {
    if (this.side.status !== 'open') return undefined;
    const session = this.attempt(() => this.side.session(name, { timeout }));
    if (session !== undefined) this.sessions.push(session);
    return session;
  }

  send(session: SimSession, size: number, oneWay: boolean, timeout: number): void {
    const takesItems = !oneWay && (size & 1) === 0;
    this.sends.push(session.send(zeros(size), { oneWay, timeout, takesItems }));
  }

  /** Sends a request stream of `count` items. */
  stream(session: SimSession, count: number, size: number, patience: number): void {
    const items = Array.from({ length: count }, () => zeros(size));
    this.sends.push(session.send('', { items, patience, takesItems: (count & 1) === 0 }));
  }

  /** Settles a message in the way that its first octet selects. Returns false if the handler is to run on. */
  settle(message: SimMessage, how: number): boolean {
    switch (how & 7) {
      case 0:
        message.accept();
        return true;
      case 1:
        message.respond(message.data);
        return true;
      case 2:
        message.respond(zeros(20_000));
        return true;
      case 3:
        message.reject(0x9001, 'no', zeros(10));
        return true;
      case 4:
        message.respond(zeros(9000), [['key', 'v'.repeat(300)]]);
        message.accept();
        return true;
      case 5:
        message.reject(0x0501, 'x'.repeat(1024), zeros(60_000));
        return true;
      case 6:
        // The handler runs until all items are given.
        message.stream(['a', zeros(600), zeros(5000)]);
        return false;
      default:
        message.readAll();
        return false;
    }
  }

  decide(session: SimSession, how: number): void {
    if (how === 3) this.attempt(() => session.reject());
    else this.attempt(() => session.accept('hi', how === 2 ? [['k', 'v'.repeat(50)]] : undefined));
  }

  /** Ends the life, and checks that nothing is left. */
  end(): void {
    const { side } = this;
    this.#expectFewHandlers();
    this.isBlocked = false;
    side.room = 256 * 1024;
    this.release();
    if (this.scene.ending === 'time') {
      this.clock.advance(31_500);
      this.flush();
    }
    if (this.scene.ending === 'close') side.close();
    if (this.scene.ending === 'close with data') side.close(0x9001, 'gone', Buffer.alloc(100));
    side.woken = true;
    this.flush();
    side.lose();
    side.woken = true;
    this.flush();
    // The owner must end a connection that outlives its socket.
    if (side.closed === undefined && side.lost !== undefined) side.end(side.lost);
    for (const message of this.running.splice(0)) message.accept();
    this.#expectNothingLeft();
  }

  /** An upper bound, in octets of heap, for the memory that the machine may hold in its present state. */
  get allowance(): number {
    const { side } = this;
    const live = side.sessions.filter(({ closed }) => closed === undefined);
    const messages = live.reduce((sum, { machine }) => {
      return sum + machine.sender.unsettled + machine.receiver.unsettled;
    }, this.running.length + this.sends.length);
    const held = this.#connection?.receiveWindow.held ?? 0;
    const kept = this.#check.keptAfter(this.#connection?.output.sent.acknowledged ?? 0);
    // The source of a response stream holds its items.
    const sources = 8000 * this.running.length;
    return 250_000 + 10_000 * live.length + 2500 * messages + 3 * held + kept + sources;
  }

  /** Forgets ended sessions and messages if there are many. Their memory would look like memory of the machine. */
  prune(most = MANY): void {
    const { side } = this;
    if (side.sessions.length > most) {
      for (const list of [side.sessions, side.incoming]) {
        list.splice(0, Infinity, ...list.filter(({ closed }) => closed === undefined));
      }
      this.sessions = this.sessions.filter(({ closed }) => closed === undefined);
      for (const session of this.#lastIds.keys()) {
        if (session.closed !== undefined) this.#lastIds.delete(session);
      }
      const pending = this.pending.filter(({ closed }) => closed === undefined);
      this.pending.splice(0, Infinity, ...pending);
    }
    if (this.sends.length > most) {
      this.sends = this.sends.filter(({ result }) => result === undefined);
    }
    for (const { items } of [...this.sends, ...this.running]) items.length = 0;
  }

  /** The other side writes its preface and its HELLO or WELCOME. */
  #greet(more: Meta): void {
    const { scene, side } = this;
    const isListener = side.role === 'listener';
    const type = isListener ? FrameType.HELLO : FrameType.WELCOME;
    const offer = isListener || more.resumed !== undefined ? {} : { token: TOKEN };
    const ability = scene.canResume ? { caps: Capability.RESUME, ...offer } : {};
    const meta = { ...limitsToMeta({ ...DEFAULT_LIMITS, ...scene.peer }), ...ability, ...more };
    this.receive(Buffer.concat([encodePreface(), encodeFrame({ type, meta })]));
  }

  #write(room: number): void {
    const { side } = this;
    if (side.status === 'open') this.#connection = side.connection;
    const usual = side.room;
    side.room = room;
    const chunks = side.flush();
    side.room = usual;
    this.#check.push(chunks, side.greeting?.limits);
    side.release(this.isTaken);
  }

  #onSession(session: SimSession): void {
    this.sessions.push(session);
    const how = session.name.length % 5;
    if (how === 4) this.pending.push(session);
    else this.decide(session, how);
  }

  #onMessage(message: SimMessage): void {
    const { session, id, data } = message;
    const last = this.#lastIds.get(session) ?? this.scene.lastId;
    if (this.scene.lastId === 0 && id <= last) {
      throw new Error(`Message ${id} starts after message ${last}.`);
    }
    if (nextId(last) === id || id > last) this.#lastIds.set(session, id);
    session.messages.length = 0;
    if (!this.settle(message, data[0] ?? 0)) this.running.push(message);
  }

  /** Checks that cancels and aborts do not let more handlers run at once than the limit of messages. */
  #expectFewHandlers(): void {
    const counts = new Map<SimSession, number>();
    for (const { session, incoming } of this.running) {
      if (!incoming.hasHandler) continue;
      const count = (counts.get(session) ?? 0) + 1;
      counts.set(session, count);
      if (count > this.side.limits.messages) {
        throw new Error(`Session ${session.id} runs ${count} handlers at once.`);
      }
    }
  }

  #expectNothingLeft(): void {
    const { side, sends } = this;
    if (!this.isOver) throw new Error('The machine is not closed.');
    const stuck = sends.find(({ result }) => result === undefined);
    if (stuck !== undefined) throw new Error(`Message ${stuck.id} is pending for ever.`);
    for (const { machine } of side.sessions) {
      if (machine.state !== 'CLOSED') throw new Error(`Session ${machine.id} is not closed.`);
      const unsettled = machine.sender.unsettled + machine.receiver.unsettled;
      if (unsettled > 0) throw new Error(`Session ${machine.id} keeps ${unsettled} messages.`);
    }
    if (side.closed !== undefined && this.clock.pending > 0) throw new Error('A timer is left.');
    if (this.#connection === undefined) return;
    const { output, receiveWindow, pinned } = this.#connection;
    if (!output.isEmpty) throw new Error('Output is left.');
    if (pinned !== 0) throw new Error(`${pinned} octets are counted as pinned.`);
    // A frame that breaks a rule is counted as held when the connection fails. No code holds its octets.
    if (side.closed?.failure?.kind !== 'protocol' && receiveWindow.held !== 0) {
      throw new Error(`${receiveWindow.held} octets are counted as held.`);
    }
  }
}

/** A part of a shared buffer, which no code changes. New octets would take longer than all other work. */
function zeros(size: number): Buffer {
  return ZEROS.subarray(0, size);
}

const ZEROS = Buffer.alloc(200_000);
const MANY = 64;
const TOKEN = { token: Buffer.alloc(32, 0x74), ttl: 60_000 };
