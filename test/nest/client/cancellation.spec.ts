import { describe, expect, it } from '@jest/globals';
import { Cancellation } from '../../../src/nest/client/cancellation.js';

describe('Cancellation', () => {
  it('tells its listener once, be it a function or an object', () => {
    const told: string[] = [];
    const [one, two] = [new Cancellation(), new Cancellation()];
    one.addEventListener('abort', ({ type }) => told.push(`function ${type}`));
    two.addEventListener('abort', { handleEvent: ({ type }) => told.push(`object ${type}`) });

    for (const cancellation of [one, two, one, two]) cancellation.abort();

    expect(told).toEqual(['function abort', 'object abort']);
    expect(one.aborted).toBe(true);
    expect(() => one.throwIfAborted()).toThrow('The caller unsubscribed.');
  });

  it('does not tell one that was taken away, and only that one is', () => {
    const told: string[] = [];
    const [kept, former] = [() => told.push('kept'), () => told.push('former')];
    const [one, two] = [new Cancellation(), new Cancellation()];
    one.addEventListener('abort', former);
    one.removeEventListener('abort', former);
    two.addEventListener('abort', kept);
    two.removeEventListener('abort', former);

    one.abort();
    two.abort();

    expect(told).toEqual(['kept']);
    expect(() => new Cancellation().throwIfAborted()).not.toThrow();
  });
});
