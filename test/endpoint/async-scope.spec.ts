import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from '@jest/globals';
import type { Message } from 'nestjs-interconnect/core';
import { inSession } from '../support/connected.js';

const scope = new AsyncLocalStorage<string>();

/** Of each item, the scope in which it was asked for. */
async function* source(seen: (string | undefined)[]): AsyncGenerator<Buffer> {
  for (let item = 0; item < 3; item++) {
    seen.push(scope.getStore());
    yield Buffer.from('x');
  }
}

async function readAll(message: Message): Promise<void> {
  for await (const _item of message.body);
  message.accept();
}

describe('the source of a stream', () => {
  it('runs in the scope of the send that it was given to, though another freed its way', async () => {
    const { session, accepted } = await inSession({ maxUnsettled: 1 });
    accepted.on('message', (message) => void readAll(message));
    const seen: (string | undefined)[] = [];
    const send = (name: string) => scope.run(name, () => session.send(source(seen)));

    await Promise.all(['a', 'b'].map(send));

    expect(seen).toEqual(['a', 'a', 'a', 'b', 'b', 'b']);
  });
});

describe('onItem', () => {
  it.each([
    ['bytes', () => Buffer.from('x')],
    ['a stream', () => [Buffer.from('x')]],
  ])('runs in the scope of its send, and not in that of the socket: %s', async (_, request) => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => void message.respond(source([])));
    const seen: (string | undefined)[] = [];
    const onItem = () => void seen.push(scope.getStore());
    const send = (name: string) => scope.run(name, () => session.send(request(), { onItem }));

    await send('a');
    await send('b');

    expect(seen).toEqual(['a', 'a', 'a', 'b', 'b', 'b']);
  });
});
