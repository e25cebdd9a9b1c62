import { describe, expect, it } from '@jest/globals';
import { SocketState } from '../../../src/protocol/socket/socket-state.js';
import { DEFAULT_LIMITS, type Greeting } from '../../../src/protocol/index.js';
import { Code, EMPTY, FrameType, ProtocolError } from '../../../src/wire/index.js';

const hello: Greeting = { limits: DEFAULT_LIMITS, agent: '', data: EMPTY, canResume: false };

describe('The state of a socket', () => {
  it('reports each move with the names of the document', () => {
    const moves: string[] = [];
    const state = new SocketState({ onMove: (...move) => void moves.push(move.join(' | ')) });

    state.eightOctets();
    state.hello(hello);
    state.applicationRefuses();
    state.streamEnded('The connection was lost: the other side ended the stream without CLOSE.');
    state.streamEnded('The socket is gone.');

    expect(moves).toEqual([
      'socket | PREFACE | GREETING | eight octets',
      'socket | GREETING | JUDGING | HELLO',
      'socket | JUDGING | CLOSING | the application refuses',
      'socket | CLOSING | CLOSED | end of the stream',
    ]);
  });

  it('reports why the stream was lost before a CLOSE', () => {
    const moves: string[] = [];
    const state = new SocketState({ onMove: (...move) => void moves.push(move.join(' | ')) });

    state.streamEnded('The socket is gone.');

    expect(moves).toEqual(['socket | PREFACE | CLOSED | The socket is gone.']);
  });

  it('blames the peer for a frame that the table does not list', () => {
    const state = new SocketState({});
    state.eightOctets();
    state.hello(hello);

    const second = thrownBy(() => state.hello(hello));
    expect(second).toBeInstanceOf(ProtocolError);
    expect(second).toMatchObject({ code: Code.STATE });
    expect(state.unexpected(FrameType.PING)).toMatchObject({
      code: Code.STATE,
      message: 'PING before the handshake was answered.',
    });
  });

  it.each<[string, (state: SocketState) => void]>([
    ['a refusal', (state) => state.applicationRefuses()],
    ['CLOSE', (state) => state.close()],
    ['silence of IDLE', (state) => state.silence()],
    ['a stalled frame', (state) => state.inputStalled()],
    ['stalled output', (state) => state.outputStalled()],
    ['another socket', (state) => state.superseded()],
    ['a frame', (state) => void thrown(state.unexpected(FrameType.PING))],
  ])('does not blame the peer for %s before the preface', (_event, cause) => {
    const state = new SocketState({});

    const error = thrownBy(() => cause(state));
    expect(error).not.toBeInstanceOf(ProtocolError);
    expect(String(error)).toMatch(/^Error: The socket is PREFACE, and this event cannot happen/);
    expect(state.current.name).toBe('PREFACE');
  });

  it('ends once', () => {
    const state = new SocketState({});
    state.applicationCloses();

    expect(state.isOver).toBe(true);
    for (const again of [
      () => state.applicationCloses(),
      () => state.violation('A frame.'),
      () => state.wrongOctet(),
      () => state.eightOctets(),
      () => state.handshakeTimeout(),
    ]) {
      expect(again).toThrow('The socket is CLOSED, and this event cannot happen there');
    }
  });
});

function thrown(error: Error): never {
  throw error;
}

function thrownBy(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown.');
}
