/**
 * Faults that the simulation must find. Each fault is a change of one source file, made only while that file is
 * loaded. The file also holds variants of the source, with limits that no life would reach otherwise. The simulation
 * must find nothing in them.
 */
interface Change {
  /** The path below `src`. */
  readonly file: string;
  /** The text to replace. The file must contain it exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Fault extends Change {
  readonly name: string;
}

export interface Variant {
  readonly name: string;
  readonly changes: readonly Change[];
  /** Settings of the variant that the audit must know. */
  readonly mostKept?: number;
  readonly firstByte?: number;
}

const FIRST_BYTE = 2 ** 31 - 8192;

export const variants: readonly Variant[] = [
  {
    name: 'little is kept for a replay',
    changes: [
      {
        file: 'protocol/output/replay-queue.ts',
        find: 'const MAX_KEPT = 16 * 1024 * 1024;',
        replace: 'const MAX_KEPT = 4096;',
      },
    ],
    mostKept: 4096,
  },
  {
    name: 'byte counters come round',
    changes: [
      {
        file: 'protocol/flow/windows.ts',
        find: 'this.#limit = limit | 0;\n    this.#reserve = reserve;',
        replace: `this.#used = ${FIRST_BYTE};\n    this.#limit = (limit + ${FIRST_BYTE}) | 0;\n    this.#reserve = reserve;`,
      },
      {
        file: 'protocol/flow/windows.ts',
        find: 'this.#limit = size | 0;',
        replace: `this.#used = ${FIRST_BYTE};\n    this.#limit = (size + ${FIRST_BYTE}) | 0;`,
      },
    ],
    firstByte: FIRST_BYTE,
  },
];

export const faults: readonly Fault[] = [
  {
    name: 'one frame too few is replayed',
    file: 'protocol/output/replay-queue.ts',
    find: 'this.#trim(count, this.#frames.size);\n    this.#written = 0;',
    replace:
      'this.#trim(count, this.#frames.size);\n    this.#written = Math.min(1, this.#frames.size);',
  },
  {
    name: 'one frame too many is replayed',
    file: 'protocol/output/replay-queue.ts',
    find: 'this.#trim(count, this.#frames.size);',
    replace: 'if (this.#newsOf(count) > 0) this.#trim(count - 1, this.#frames.size);',
  },
  {
    name: 'replay in the wrong order',
    file: 'protocol/output/replay-queue.ts',
    find: 'return this.#frames.at(this.#written);',
    replace: 'return this.#frames.at(this.#frames.size - 1 - this.#written);',
  },
  {
    name: 'new frames overtake the replay',
    file: 'protocol/connection/connection.ts',
    find: 'if (!this.output.replay(writer, room, now)) return;',
    replace: 'this.output.replay(writer, room, now);',
  },
  {
    name: 'the rest of a message is replayed as one fragment',
    file: 'protocol/output/output.ts',
    find: 'writePiece(writer, frame.unit, frame.from, frame.to, now);',
    replace: 'writePiece(writer, frame.unit, frame.from, frame.unit.payload.length, now);',
  },
  {
    name: 'the payload of a cancelled message is gone before it is acknowledged',
    file: 'protocol/session/session-sender.ts',
    find: 'if (message.acknowledged) message.payload = EMPTY;',
    replace: 'message.payload = EMPTY;',
  },
  {
    name: 'CANCEL is not kept',
    file: 'protocol/output/output.ts',
    find: 'this.sent.keep(unit);',
    replace: 'if (unit.type !== FrameType.CANCEL) this.sent.keep(unit);',
  },
  {
    name: 'DEADLINE is refreshed on replay',
    file: 'protocol/message/outgoing-message.ts',
    find: 'return this.hasDeadline ? remainingUntil(this.deadline, now) : 0;',
    replace:
      'return this.hasDeadline ? remainingUntil(this.deadline + (this.started ? 50 : 0), now) : 0;',
  },
  {
    name: 'the clock of an answer that has begun runs on',
    file: 'protocol/message/incoming-message.ts',
    find: 'return this.responseItems?.hasBegun === true ? Infinity : this.#deadline;',
    replace: 'return this.#deadline;',
  },
  {
    name: 'the acceptance of a stream does not say that it was one',
    file: 'protocol/session/session-receiver.ts',
    find: 'const endsStream = message.isStreamed && message.type === FrameType.ACCEPT;',
    replace: 'const endsStream = false;',
  },
  {
    name: 'no CANCEL at a timeout within an answer',
    file: 'protocol/session/session-sender.ts',
    find: 'message.hasDeadline && message.responseItems === undefined;',
    replace: 'message.hasDeadline;',
  },
  {
    name: 'no CANCEL for an answer that begins after the timeout',
    file: 'protocol/session/sender-streams.ts',
    find: 'this.#sender.cancelOnWire(message);',
    replace: '',
  },
  {
    name: 'no fence',
    file: 'endpoint/link/carrier.ts',
    find: 'former?.machine.supersede(this.#clock.now());',
    replace: '',
  },
  {
    name: 'acknowledgement before delivery',
    file: 'protocol/flow/receipts.ts',
    find: 'this.#dueAt = Infinity;\n    return this.#received;',
    replace: 'this.#dueAt = Infinity;\n    return (this.#received + 1) & MAX_ID;',
  },
  {
    name: 'frames that were held back are lost',
    file: 'protocol/socket/socket.ts',
    find: 'const frames = this.#held ?? [];',
    replace: 'const frames = (this.#held ?? []).slice(1);',
  },
  {
    name: 'no CREDIT for the connection after a resume',
    file: 'protocol/connection/connection.ts',
    find: 'this.#grants.announceConnection();\n    const sessions',
    replace: 'const sessions',
  },
  {
    name: 'no CREDIT for sessions after a resume',
    file: 'protocol/connection/connection.ts',
    find: 'session.announce();',
    replace: '',
  },
  {
    name: 'no CREDIT for items after a resume',
    file: 'protocol/session/session.ts',
    find: 'this.receiver.announceItems();\n    this.sender.announceItems();',
    replace: '',
  },
  {
    name: 'GOAWAY is forgotten after a resume',
    file: 'protocol/connection/connection.ts',
    find: 'this.goaway.onSocket();',
    replace: '',
  },
  {
    name: 'a drain ends before all is settled',
    file: 'protocol/connection/connection.ts',
    find: 'return unsettled === 0 && sender.isFlushed;',
    replace: 'return sender.isFlushed;',
  },
  {
    name: 'a drain forgets what waits for credit',
    file: 'protocol/connection/connection.ts',
    find: 'return unsettled === 0 && sender.isFlushed;',
    replace: 'return unsettled === 0;',
  },
  {
    name: 'a drain does not wait until GOAWAY is read',
    file: 'protocol/connection/connection.ts',
    find: 'if (this.hasBegun && !this.goaway.isRead) return false;',
    replace: '',
  },
  {
    name: 'a drain does not acknowledge what it has read',
    file: 'protocol/connection/connection.ts',
    find: 'return this.goaway.own && this.#isDone() && !this.#receipts.isOwing;',
    replace: 'return this.goaway.own && this.#isDone();',
  },
  {
    name: 'OPEN has the DEADLINE of its first time',
    file: 'protocol/session/open-unit.ts',
    find: 'return remainingUntil(now + this.#clock.timeLeft(now), now);',
    replace:
      'return ((this as unknown as { first?: number }).first ??= remainingUntil(now + this.#clock.timeLeft(now), now));',
  },
  {
    name: 'CREDIT for a session comes before its OPEN',
    file: 'protocol/session/session.ts',
    find: 'if (this.isUnwritten) return;\n    this.#context.creditDue',
    replace: 'if (this.#id === 0) return;\n    this.#context.creditDue',
  },
  {
    name: 'credit leaks on cancel',
    file: 'protocol/session/session-receiver.ts',
    find: "this.#refuse(message, { code: Code.CANCELLED, text: 'Cancelled before it was started.' });",
    replace:
      "message.held = 0; this.#refuse(message, { code: Code.CANCELLED, text: 'Cancelled before it was started.' });",
  },
  {
    name: 'octets are freed twice',
    file: 'protocol/session/session-receiver.ts',
    find: 'this.free(message.held, message.heldInSession);',
    replace: 'this.free(2 * message.held, message.heldInSession);',
  },
  {
    name: 'a message is settled twice',
    file: 'protocol/session/session-receiver.ts',
    find: 'if (message.isSettled) return false;\n    const isPartial',
    replace: 'const isPartial',
  },
  {
    name: 'a message that was refused is started',
    file: 'protocol/session/session-receiver.ts',
    find: "if (message.state === 'WAITING') this.#dispatch(message, now);",
    replace: 'this.#dispatch(message, now);',
  },
  {
    name: 'the id of a cancelled message is used again',
    file: 'protocol/session/session-sender.ts',
    find: "if (failure.kind !== 'timeout' || !isTimed) this.cancelOnWire(message);",
    replace: 'this.cancelOnWire(message); this.#lastId -= 1;',
  },
  {
    name: 'ids do not come round',
    file: 'wire/serial.ts',
    find: 'return id === MAX_ID ? 1 : id + 1;',
    replace: 'return id + 1;',
  },
  {
    name: 'what may have run is called not executed',
    file: 'protocol/session/session-sender.ts',
    find: "const mayHaveRun = message.state === 'SENT' || hasStarted(message);",
    replace: 'const mayHaveRun = false;',
  },
  {
    name: 'a message that waits leaves before CLOSE',
    file: 'protocol/output/output.ts',
    find: 'return type !== FrameType.SEND && !unopened.has(sessionId);',
    replace: 'return !unopened.has(sessionId);',
  },
  {
    name: 'a session that waits leaves before CLOSE',
    file: 'protocol/output/output.ts',
    find: 'return type !== FrameType.SEND && !unopened.has(sessionId);',
    replace: 'return type !== FrameType.SEND;',
  },
  {
    name: 'a message that is given up unwritten uses up an id',
    file: 'protocol/session/session-sender.ts',
    find: 'this.#unwritten.revoke(message);',
    replace: 'this.#unwritten.revoke(message); this.#lastId = nextId(this.#lastId);',
  },
  {
    name: 'a message that was given up is written all the same',
    file: 'protocol/output/revocable-queue.ts',
    find: 'while (this.#items.peek()?.isRevoked === true) {',
    replace: 'while (this.#revoked < 0) {',
  },
  {
    name: 'the connection has no credit back for what is given up',
    file: 'protocol/session/unwritten-messages.ts',
    find: 'this.#context.giveBack(size);',
    replace: '',
  },
  {
    name: 'the session has no credit back for what is given up',
    file: 'protocol/session/unwritten-messages.ts',
    find: 'this.#lane.window.use(-size);',
    replace: '',
  },
  {
    name: 'what is given up keeps its place in the queue',
    file: 'protocol/session/unwritten-messages.ts',
    find: 'this.#context.releaseQueue(message);\n      message.isRevoked = true;',
    replace: 'message.isRevoked = true;',
  },
  {
    name: 'the clock of a session runs before OPEN is written',
    file: 'protocol/connection/connection.ts',
    find: 'this.#sessions.addOwn(session);',
    replace:
      'this.#sessions.addOwn(session); session.startClock((this.effects as unknown as { now(): number }).now());',
  },
  {
    name: 'what was written fails when there is no socket for too long',
    file: 'protocol/session/session-sender.ts',
    find: 'const messages = Array.from(this.#unwritten);',
    replace: 'const messages = [...this.#sent.values(), ...this.#unwritten];',
  },
  {
    name: 'what was never written is called perhaps executed',
    file: 'protocol/session/session-sender.ts',
    find: "// [IC-10.9]\n      this.#revoke(message, withExecuted(failure, 'no'));",
    replace: 'this.#revoke(message, failure);',
  },
  {
    name: 'what was written is called not executed when it is given up',
    file: 'protocol/session/session-sender.ts',
    find: 'this.cancelOnWire(message);\n      this.#withdraw(message, failure);',
    replace:
      "this.cancelOnWire(message);\n      this.#withdraw(message, withExecuted(failure, 'no'));",
  },
  {
    name: 'a detached connection never expires',
    file: 'endpoint/link/continuity.ts',
    find: 'this.#stopExpiry = whenUsedUp(budget, clock, () => carrier.end(failure));',
    replace: 'void [budget, whenUsedUp];',
  },
  {
    name: 'a connection expires although its dialer came back',
    file: 'endpoint/link/continuity.ts',
    find: 'this.#stopExpiry?.();\n    this.#carrier.attach(driver);',
    replace: 'this.#carrier.attach(driver);',
  },
  {
    name: 'a timer stays armed',
    file: 'endpoint/link/carrier.ts',
    find: 'this.#alarm.end();',
    replace: '',
  },
  {
    name: 'memory that the kernel still reads is written again',
    file: 'endpoint/socket/driver.ts',
    find: 'writer.release(socket.writableLength === 0);',
    replace: 'writer.release(true);',
  },
];
