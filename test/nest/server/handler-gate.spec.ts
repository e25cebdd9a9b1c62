import { beforeEach, describe, expect, it } from '@jest/globals';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Message } from '../../../src/endpoint/index.js';
import { HandlerGate } from '../../../src/nest/server/handler-gate.js';

/** As much of a message as a gate looks at. */
function messageWith(signal = new AbortController().signal, connection: object = HOME): Message {
  return { oneWay: false, signal, session: { connection } } as unknown as Message;
}

const HOME = {};

const told: string[] = [];
let gate: HandlerGate;

beforeEach(() => {
  told.length = 0;
  gate = new HandlerGate(1);
});

function enter(name: string, signal?: AbortSignal): void {
  gate.enter(
    messageWith(signal),
    () => told.push(name),
    () => told.push(`${name} gives up`),
  );
}

describe('HandlerGate', () => {
  it('lets nobody overtake those who wait, not even who comes at the moment of a change', () => {
    enter('a');
    gate.enter(
      messageWith(),
      () => {
        told.push('b');
        gate.leave();
        enter('d');
      },
      () => {},
    );
    enter('c');

    gate.leave();
    gate.leave();

    expect(told).toEqual(['a', 'b', 'c', 'd']);
  });

  it('starts one that waited in the scope in which it came, and not in that of who leaves', () => {
    const scope = new AsyncLocalStorage<string>();
    const enterIn = (name: string, message: Message) =>
      scope.run(name, () =>
        gate.enter(
          message,
          () => told.push(scope.getStore() ?? 'none'),
          () => {},
        ),
      );

    for (const name of ['a', 'b']) enterIn(name, messageWith());
    enterIn('c', { oneWay: true, session: { connection: HOME } } as Message);
    scope.run('of another', () => gate.leave());
    scope.run('of another', () => gate.leave());

    expect(told).toEqual(['a', 'b', 'c']);
  });

  it('does not keep one that nobody waits for any more when it comes', () => {
    enter('a');
    enter('b', AbortSignal.abort());
    enter('c');

    gate.leave();

    expect(told).toEqual(['a', 'b gives up', 'c']);
  });

  it('gives up at once one that nobody waits for any more while it waits', () => {
    const abort = new AbortController();
    enter('a');
    enter('b', abort.signal);
    enter('c');

    abort.abort();
    gate.leave();

    expect(told).toEqual(['a', 'b gives up', 'c']);
  });

  it('lets who has begun end, though nobody waits for it any more', () => {
    const abort = new AbortController();
    enter('a');
    enter('b', abort.signal);
    gate.leave();

    abort.abort();

    expect(told).toEqual(['a', 'b']);
  });

  it('gives connections their turns, and keeps the order of each', () => {
    const [one, two, three] = [{}, {}, {}];
    const enterFrom = (connection: object, names: string) => {
      for (const name of names) {
        gate.enter(
          messageWith(undefined, connection),
          () => told.push(name),
          () => told.push(`${name} gives up`),
        );
      }
    };
    enterFrom(one, '0abcd');
    enterFrom(two, 'pq');
    enterFrom(three, 'x');

    for (let count = 0; count < 7; count += 1) gate.leave();

    expect(told.join('')).toBe('0apxbqcd');
  });

  it('forgets a connection whose last message gives up', () => {
    const abort = new AbortController();
    enter('a');
    gate.enter(
      messageWith(abort.signal, {}),
      () => told.push('b'),
      () => told.push('b gives up'),
    );
    enter('c');

    abort.abort();
    gate.leave();
    gate.leave();
    enter('d');

    expect(told).toEqual(['a', 'b gives up', 'c', 'd']);
  });

  it('marks a message as long as it waits', () => {
    const message = messageWith();
    enter('a');
    gate.enter(
      message,
      () => told.push(`b waits: ${message.waitsForTurn}`),
      () => {},
    );
    expect(message.waitsForTurn).toBe(true);

    gate.leave();

    expect(told).toEqual(['a', 'b waits: false']);
  });

  it('starts any number in turn that end at once', () => {
    enter('first');
    for (let count = 0; count < 20_000; count += 1) {
      gate.enter(
        messageWith(),
        () => gate.leave(),
        () => {},
      );
    }
    enter('last');

    gate.leave();

    expect(told).toEqual(['first', 'last']);
  });
});
