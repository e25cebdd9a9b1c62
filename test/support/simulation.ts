/**
 * A random life of one connection, from a seed: sessions come and go, messages of every kind travel both
 * ways, are settled, cancelled and forgotten, in any chunks and at any pace, until it is closed or cut.
 * Afterwards the promises are held against what each side saw.
 */
import type { Limits } from '../../src/protocol/index.js';
import { Code, idsAhead, MAX_ID } from '../../src/wire/index.js';
import { Random } from './random.js';
import { type SimHost, type SimMessage, SimSend, type SimSession } from './sim-application.js';
import { SimPair } from './sim-pair.js';
import type { SimSide } from './sim-side.js';

/** What one side knows of a message that it sent. */
interface Sent {
  readonly send: SimSend;
  readonly session: SimSession;
  readonly payload: Buffer;
  /** Handlers that started for it at the other side. */
  readonly handled: SimMessage[];
  /** What a handler settled it with, where it was not too late. */
  answer: string | undefined;
  /** The items of its request, and of its answer. */
  readonly items: readonly Buffer[];
  replies: readonly Buffer[];
  /** All replies were given before it was settled. */
  repliedWhole: boolean;
}

/** How the simulation ends. */
type Ending = 'drain' | 'close' | 'both close' | 'cut' | 'end of stream';

export class Simulation {
  readonly pair: SimPair;
  readonly #random: Random;
  readonly #sent: Sent[] = [];
  readonly #sessions: SimSession[] = [];
  readonly #pending: SimSession[] = [];
  /** Messages whose handlers run. */
  readonly #running: SimMessage[] = [];
  readonly #done: SimMessage[] = [];

  constructor(seed: number) {
    const random = new Random(seed);
    this.#random = random;
    this.pair = SimPair.open({
      // Now and then, ids come round.
      lastId: random.chance(0.1) ? MAX_ID - random.integer(0, 5) : 0,
      dialer: { limits: this.#limits(), queue: this.#queue() },
      listener: { limits: this.#limits(), queue: this.#queue() },
    });
    for (const side of this.#sides) {
      side.onSession = (session) => this.#onSession(session);
      side.onMessage = (message) => this.#onMessage(message);
    }
    for (const pipe of [this.pair.there, this.pair.back]) {
      const largest = random.pick([1, 40, 5000, 70_000, Infinity]) ?? 1;
      pipe.takes = random.chance(0.5);
      pipe.cut = (available) =>
        // One octet at a time is slow where there is much.
        available > 6000 && largest < 5000
          ? available
          : random.integer(1, largest < available ? largest : available);
    }
  }

  get #sides(): readonly [SimSide, SimSide] {
    return [this.pair.dialer, this.pair.listener];
  }

  /** @throws where a promise is broken. */
  run(): void {
    const random = this.#random;
    const ending: Ending =
      random.pick(['drain', 'drain', 'close', 'both close', 'cut', 'end of stream'] as const) ??
      'drain';
    for (let steps = random.integer(5, 120); steps > 0; steps--) this.#step();
    if (ending === 'drain') {
      this.#drain();
      this.#expectEmpty();
    }
    this.#end(ending);
    this.#expectSettled();
  }

  #step(): void {
    const { pair } = this;
    const random = this.#random;
    const side = random.chance(0.5) ? pair.dialer : pair.listener;
    const session = random.pick(this.#sessions.filter((each) => each.side === side));
    const action = random.integer(0, 99);
    if (action < 10 || session === undefined) return this.#open(side);
    if (action < 40) return this.#send(session);
    if (action < 60) return this.#settle(random.integer(0, this.#running.length - 1));
    if (action < 64) return this.#cancel();
    if (action < 67) return this.#read();
    if (action < 70) return this.#decide();
    if (action < 72) return session.end();
    if (action < 77) return pair.advance(random.integer(0, 60));
    if (action < 85) return pair.run();
    if (action < 90) return void random.pick(this.#done)?.accept();
    for (const each of this.#sides) each.room = random.pick([1, 5000, 100_000, 256 * 1024]) ?? 1;
    const pipe = random.chance(0.5) ? pair.there : pair.back;
    pipe.flush();
    pipe.deliver(random.integer(0, random.pick([10, 1000, 100_000]) ?? 0));
  }

  #open(side: SimSide): void {
    const random = this.#random;
    const timeout = random.chance(0.5) ? random.integer(1, 200) : Infinity;
    const data = random.bytes(random.integer(0, 50));
    this.#sessions.push(side.session(`s${this.#sessions.length}`, { timeout, data }));
  }

  #onSession(session: SimSession): void {
    this.#sessions.push(session);
    if (this.#random.chance(0.6)) session.accept();
    else this.#pending.push(session);
  }

  #decide(): void {
    const session = this.#pending.shift();
    if (session === undefined) return;
    if (this.#random.chance(0.7)) session.accept();
    else session.reject(Code.SESSION_REFUSED, 'no');
  }

  #send(session: SimSession): void {
    const random = this.#random;
    const limit = this.#other(session.side).limits.maxMessage;
    const size =
      random.pick([0, 1, 100, 8192, 8193, random.integer(0, limit), limit, limit + 1]) ?? 0;
    const payload = random.bytes(size);
    const metadata = random.chance(0.3)
      ? [['k', 'v'.repeat(random.integer(0, 900))] as const]
      : undefined;
    const items = random.chance(0.3) ? this.#items(limit) : undefined;
    const timeout = random.chance(0.3) ? random.integer(1, 150) : Infinity;
    const patience = timeout === Infinity && random.chance(0.2) ? random.integer(20, 100) : 0;
    const send = session.send(payload, {
      oneWay: items === undefined && random.chance(0.2),
      takesItems: random.chance(0.8),
      end: random.chance(0.9),
      ...(patience > 0 ? { patience } : { timeout }),
      ...(items === undefined ? {} : { items }),
      ...(metadata === undefined ? {} : { metadata }),
    });
    send.reads = random.chance(0.5);
    this.#sent.push({
      send,
      session,
      payload,
      handled: [],
      answer: undefined,
      items: items ?? [],
      replies: [],
      repliedWhole: false,
    });
  }

  #items(limit: number): Buffer[] {
    const random = this.#random;
    return Array.from({ length: random.pick([0, 1, 3, 9]) ?? 0 }, () => {
      const large = random.chance(0.02)
        ? limit + 1
        : random.integer(0, random.chance(0.2) ? limit : 20_000);
      return random.bytes(random.pick([0, 10, 10, 100, 5000, 8193, large]) ?? 0);
    });
  }

  /** Takes what has come of some stream. */
  #read(): void {
    const random = this.#random;
    const count = random.pick([1, 2, Infinity]) ?? 1;
    if (random.chance(0.5)) random.pick(this.#sent)?.send.read(count);
    else random.pick(this.#running)?.read(count);
  }

  #cancel(): void {
    const open = this.#sent.filter(({ send }) => send.result === undefined);
    this.#random.pick(open)?.send.cancel();
  }

  #onMessage(message: SimMessage): void {
    const sent = this.#sentAs(message);
    if (sent.handled.length > 0) throw new Error('A handler started twice for one message.');
    if (!sent.payload.equals(message.data))
      throw new Error(
        `The payload has changed on its way: id ${message.id} s=${message.session.id} ${message.data.length} of ${sent.payload.length}, at ${message.data.findIndex((o, i) => o !== sent.payload[i])}.`,
      );
    const earlier = message.session.messages.at(-2);
    if (earlier !== undefined && idsAhead(message.id, earlier.id) < 2 ** 30) {
      throw new Error(`Message ${message.id} started after message ${earlier.id}.`);
    }
    sent.handled.push(message);
    this.#running.push(message);
    message.reads = this.#random.chance(0.5);
    if (this.#random.chance(0.3)) this.#settle(this.#running.length - 1);
    else if (this.#random.chance(0.4)) this.#stream(message);
  }

  /** Answers by a stream, and settles the message after its last item, if nothing comes before. */
  #stream(message: SimMessage): void {
    const sent = this.#sentAs(message);
    if (message.incoming.oneWay) return;
    const items = this.#items(this.#other(message.session.side).limits.maxMessage);
    sent.replies = items;
    message.stream(items, () => {
      const at = this.#running.indexOf(message);
      if (at < 0) return;
      sent.repliedWhole = true;
      this.#settle(at);
    });
  }

  /** Settles the running message at this place. */
  #settle(at: number): void {
    const [message] = this.#running.splice(at, 1);
    if (message === undefined) return;
    const random = this.#random;
    const sent = this.#sentAs(message);
    this.#done.push(message);
    const limit = this.#other(message.session.side).limits.maxMessage;
    const size = random.pick([0, 10, 5000, 8193, random.integer(0, limit), limit + 1]) ?? 0;
    const data = random.bytes(size);
    const rejects = random.chance(0.3);
    const effective = rejects ? message.reject(Code.FAILED, 'why', data) : message.respond(data);
    if (!effective || message.incoming.oneWay) return;
    sent.answer = `${rejects ? 'rejected' : 'accepted'} ${data.toString('base64')}`;
  }

  #sentAs(message: SimMessage): Sent {
    const { session, id } = message;
    const sent = this.#sent.find(
      (each) =>
        each.session.side !== session.side &&
        each.session.id === session.id &&
        each.send.id === id &&
        each.send.started,
    );
    if (sent === undefined) throw new Error(`Nobody sent message ${id} of session ${session.id}.`);
    return sent;
  }

  /** Decides and settles everything, without letting time pass: nothing may be stuck then. */
  #drain(): void {
    for (const side of this.#sides) side.room = 256 * 1024;
    for (let calm = 0; calm < 2; calm++) {
      this.#readAll();
      if (this.#pending.length + this.#running.length > 0) calm = 0;
      while (this.#pending.length > 0) this.#decide();
      while (this.#running.length > 0) this.#settle(0);
      this.pair.run();
      // Those that wait for the limit of sessions get their turn when others end.
      const waiting = this.#sessions.some(({ id, closed }) => id === 0 && closed === undefined);
      const open = this.#sessions.find(({ id, status }) => id !== 0 && status === 'open');
      if (!waiting || open === undefined) continue;
      open.end();
      calm = -1;
    }
    for (const side of this.#sides) {
      if (side.status !== 'open') throw new Error(`The ${side.role} is ${side.status}.`);
    }
    const stuck = this.#sent.find(({ send }) => send.result === undefined);
    if (stuck !== undefined) {
      const { send, session } = stuck;
      throw new Error(
        `Message ${send.id} (${send.state}, ${send.payload.length} B) of session ${session.id} ` +
          `(${session.status}) of the ${session.side.role} is stuck.`,
      );
    }
  }

  /** Everything that can come of all streams comes, and is taken. */
  #readAll(): void {
    for (const { send } of this.#sent) {
      send.reads = true;
      send.read();
    }
    for (const message of this.#running) message.readAll();
    this.pair.run();
  }

  /** Nothing is counted as held, queued or open any more. */
  #expectEmpty(): void {
    for (const side of this.#sides) {
      const { output, receiveWindow } = side.connection;
      if (!output.isEmpty) throw new Error(`The ${side.role} still has output.`);
      if (receiveWindow.held !== 0)
        throw new Error(`The ${side.role} holds ${receiveWindow.held} B.`);
      this.#expectQueueEmpty(side);
    }
    for (const session of this.#sessions) {
      const { sender, receiver } = session.machine;
      if (session.machine.state.kind === 'closed') continue;
      const counts = [sender.unsettled, receiver?.unsettled ?? 0, receiver?.window.held ?? 0];
      if (counts.some((count) => count !== 0)) {
        throw new Error(
          `Session ${session.id} of the ${session.side.role} still has ${counts.join()}.`,
        );
      }
    }
  }

  /** A message as large as the whole queue fits, and after it no octet. */
  #expectQueueEmpty(side: SimSide): void {
    const session = this.#sessions.find((each) => each.side === side);
    if (session === undefined) return;
    const whole = new SimSend(session, Buffer.alloc(QUEUE_BYTES), {});
    const more = new SimSend(session, Buffer.alloc(1), {});
    const fits = side.connection.enqueue(whole) === undefined;
    if (!fits || side.connection.enqueue(more) === undefined) {
      throw new Error(`The queue of the ${side.role} is not counted right.`);
    }
    side.connection.dequeue(whole);
  }

  #end(ending: Ending): void {
    const { pair } = this;
    if (ending === 'cut') return pair.cut();
    if (ending === 'end of stream') {
      pair.dialer.lose('end');
      return pair.listener.lose('end');
    }
    if (ending === 'both close') pair.listener.close();
    pair.dialer.close();
    for (const side of this.#sides) side.room = 256 * 1024;
    pair.run();
    for (const side of this.#sides) {
      if (side.status !== 'closed')
        throw new Error(`After close, the ${side.role} is ${side.status}.`);
    }
  }

  #expectSettled(): void {
    for (const sent of this.#sent) {
      const { send, session, payload, handled, answer } = sent;
      const what = `Message ${send.id} (${payload.length} B) of session ${session.id}`;
      this.#expectItems(what, sent);
      const { result } = send;
      if (result === undefined) throw new Error(`${what} is pending for ever.`);
      if (handled.length > 0 && this.#saysNotExecuted(send)) {
        throw new Error(`${what} ran, and says: ${send.outcome}.`);
      }
      if (result.kind === 'failed' && result.failure.executed === 'yes' && handled.length === 0) {
        throw new Error(`${what} did not run, and says: ${send.outcome}.`);
      }
      const fromHandler =
        result.kind === 'accepted' ||
        (result.kind === 'rejected' && result.meta.code === Code.FAILED);
      if (!fromHandler) continue;
      if (`${result.kind} ${result.data.toString('base64')}` !== answer) {
        throw new Error(`${what} has an outcome that its handler did not give: ${send.outcome}.`);
      }
    }
    for (const session of this.#sessions) {
      if (session.closed === undefined) throw new Error(`Session ${session.id} is not closed.`);
    }
    if (this.pair.clock.pending > 0) throw new Error('A timer is left.');
  }

  /** Whatever was taken is what was given, in its order and from the first; and all of it where it ended. */
  #expectItems(what: string, { send, handled, items, replies, repliedWhole }: Sent): void {
    send.read();
    const [message] = handled;
    const wholeRequest = message?.ended === true;
    const wholeAnswer = repliedWhole && send.takesItems && send.result?.kind === 'accepted';
    for (const [which, taken, given, whole] of [
      ['request', message?.items ?? [], items, wholeRequest],
      ['answer', send.items, replies, wholeAnswer],
    ] as const) {
      if (taken.some((item, at) => given[at]?.equals(item) !== true)) {
        throw new Error(`${what} has an item in its ${which} that is not the one given.`);
      }
      if (whole && taken.length < given.length) {
        throw new Error(`${what} has ${taken.length} of ${given.length} items in its ${which}.`);
      }
    }
  }

  #saysNotExecuted({ result }: SimSend): boolean {
    if (result?.kind === 'failed') return result.failure.executed === 'no';
    return result?.kind === 'rejected' && NOT_EXECUTED.has(result.meta.code ?? Code.OK);
  }

  #other(side: SimHost): SimSide {
    return side === this.pair.dialer ? this.pair.listener : this.pair.dialer;
  }

  #limits(): Partial<Limits> {
    const random = this.#random;
    const maxMeta = random.pick([2048, 8192]) ?? 2048;
    const maxFrame = random.pick([16_384, 20_000, 65_536]) ?? 16_384;
    const maxMessage = random.integer(1000, 150_000);
    return {
      maxFrame,
      maxMeta,
      maxMessage,
      idle: 0,
      sessions: random.integer(1, 8),
      messages: random.integer(1, 8),
      items: random.integer(1, 6),
      sessionBytes: random.pick([2 * maxFrame, 4 * maxFrame]) ?? 0,
      connectionBytes: maxMessage + maxFrame * random.integer(2, 6),
    };
  }

  #queue(): { messages: number; bytes: number } {
    return { messages: this.#random.pick([4, 1000]) ?? 4, bytes: QUEUE_BYTES };
  }
}

/** Codes with which the library rejects what never ran. */
const NOT_EXECUTED: ReadonlySet<number> = new Set([
  Code.BUSY,
  Code.EXPIRED,
  Code.CANCELLED,
  Code.SESSION_CLOSED,
  Code.TOO_LARGE,
]);
const QUEUE_BYTES = 400_000;
