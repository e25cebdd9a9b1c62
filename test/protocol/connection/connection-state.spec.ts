import { describe, expect, it } from '@jest/globals';
import type { Failure } from '../../../src/protocol/index.js';
import { ConnectionState } from '../../../src/protocol/connection/connection-state.js';
import { ProtocolError } from '../../../src/wire/index.js';

const failure: Failure = { kind: 'connection-lost', executed: 'maybe', message: 'It is lost.' };

describe('The state of a connection', () => {
  it('reports each move with the names of the document', () => {
    const moves: string[] = [];
    const state = new ConnectionState('listener', {
      onMove: (...move) => void moves.push(move.join(' | ')),
    });

    state.begin();
    state.resume();
    state.detach('The socket is gone.');
    state.resume();
    state.end(failure);

    expect(moves).toEqual([
      'connection | NEW | ATTACHED | WELCOME without RESUMED',
      'connection | ATTACHED | ATTACHED | WELCOME with RESUMED',
      'connection | ATTACHED | DETACHED | The socket is gone.',
      'connection | DETACHED | ATTACHED | WELCOME with RESUMED',
      'connection | ATTACHED | ENDED | It is lost.',
    ]);
  });

  it.each<[string, (state: ConnectionState) => void]>([
    ['begins twice', (state) => state.begin()],
    ['resumes before its socket is lost', (state) => state.resume()],
    [
      'loses its socket twice',
      (state) => {
        state.detach('The socket is gone.');
        state.detach('The socket is gone.');
      },
    ],
    [
      'ends twice',
      (state) => {
        state.end(failure);
        state.end(failure);
      },
    ],
    [
      'begins after its end',
      (state) => {
        state.end(failure);
        state.begin();
      },
    ],
    [
      'resumes after its end',
      (state) => {
        state.end(failure);
        state.resume();
      },
    ],
  ])('blames this side if a dialer %s', (_what, cause) => {
    const state = new ConnectionState('dialer', {});
    state.begin();

    expect(() => cause(state)).toThrow(/^The connection is .*, and this event cannot happen there/);
    expect(() => cause(state)).not.toThrow(ProtocolError);
  });

  it('remembers after its end whether it had begun, and why it ended', () => {
    const state = new ConnectionState('dialer', {});
    expect(state.hasBegun).toBe(false);
    state.begin();
    expect(state.hasBegun).toBe(true);
    state.end(failure);
    expect([state.name, state.hasBegun, state.failure]).toEqual(['ENDED', true, failure]);

    const unborn = new ConnectionState('dialer', {});
    unborn.end(failure);
    expect([unborn.name, unborn.hasBegun]).toEqual(['ENDED', false]);
  });
});
