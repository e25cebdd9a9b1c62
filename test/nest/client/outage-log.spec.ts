import { beforeEach, describe, expect, it } from '@jest/globals';
import { InterconnectError } from '../../../src/endpoint/index.js';
import type { Connection } from '../../../src/endpoint/index.js';
import { OutageLog } from '../../../src/nest/client/outage-log.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

const connection = { peer: { address: '10.0.0.1', port: 5000 } } as unknown as Connection;
const lost = new InterconnectError('IC_ERR_CONNECTION_LOST', 'The connection was lost: reset.');
const refused = new InterconnectError('IC_ERR_CONNECT', 'No connection to hub: refused.');
const unknown = new InterconnectError('IC_ERR_CONNECT', 'No connection to hub: unknown.');
const offline = new InterconnectError('IC_ERR_OFFLINE', 'No connection to hub for 5.0 s: refused.');

let clock: ManualClock;
let lines: string[];
let log: OutageLog;

beforeEach(() => {
  clock = new ManualClock();
  lines = [];
  log = new OutageLog({ warn: (line: string) => void lines.push(line) }, clock);
});

describe('the log of a client', () => {
  it('says that the socket is lost, why it is not back, and that it is', () => {
    log.onDetached(connection, lost);
    clock.advance(100);
    log.onFailed(refused);
    clock.advance(5000);
    log.onOffline(offline);
    clock.advance(2000);
    log.onBack(connection);

    expect(lines).toEqual([
      'The connection to 10.0.0.1:5000 has lost its socket: The connection was lost: reset. Calls wait for another socket.',
      'No connection to hub: refused.',
      'No connection to hub for 5.0 s: refused. Calls fail at once until it is back.',
      'There is a connection to 10.0.0.1:5000 again, after 7.1 s.',
    ]);
  });

  it('says nothing of a connection that came about at once, or was moved elsewhere', () => {
    log.onBack(connection);
    log.onBack(connection);

    expect(lines).toEqual([]);
  });

  it('says why there is no first connection, and that there is one', () => {
    log.onFailed(refused);
    clock.advance(3000);
    log.onBack(connection);

    expect(lines).toEqual([
      'No connection to hub: refused.',
      'There is a connection to 10.0.0.1:5000 again, after 3.0 s.',
    ]);
  });

  it('repeats a reason ever less often, and counts what it has left out', () => {
    const at: number[] = [];
    for (let second = 0; second < 3600; second++) {
      const before = lines.length;
      log.onFailed(refused);
      if (lines.length > before) at.push(second);
      clock.advance(1000);
    }

    expect(at).toEqual([0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]);
    expect(lines[1]).toBe('No connection to hub: refused. (9 more times since the last such line)');
  });

  it('says at once that the reason has changed', () => {
    log.onFailed(refused);
    clock.advance(1000);
    log.onFailed(unknown);
    clock.advance(1000);
    log.onFailed(refused);
    log.onFailed(unknown);

    expect(lines).toEqual([refused.message, unknown.message]);
  });

  it('takes reasons that change each time for no news each time, and keeps few', () => {
    for (let round = 0; round < 1000; round++) {
      log.onFailed(new InterconnectError('IC_ERR_CONNECT', `Reason ${round}.`));
      clock.advance(100);
    }

    expect(lines).toHaveLength(100);
  });

  it('is sparing where a network flaps', () => {
    for (let round = 0; round < 600; round++) {
      log.onDetached(connection, lost);
      clock.advance(200);
      log.onBack(connection);
      clock.advance(800);
    }

    // Lost and back: at 0, 10, 30, 70, 150 and 310 seconds.
    expect(lines).toHaveLength(12);
  });

  it('takes everything for news after ten quiet minutes', () => {
    for (let round = 0; round < 3; round++) {
      log.onDetached(connection, lost);
      clock.advance(1000);
      log.onBack(connection);
      clock.advance(600_000);
    }

    expect(lines).toHaveLength(6);
  });

  it('forgets an outage that the application has ended', () => {
    log.onFailed(refused);
    log.onClosed();
    clock.advance(100_000);
    log.onBack(connection);

    expect(lines).toEqual([refused.message]);
  });

  it('names a Unix socket, and shows the words of others on one line', () => {
    const unix = { peer: { address: '/run/hub.sock', port: undefined } } as unknown as Connection;
    log.onDetached(unix, lost);
    log.onFailed(new InterconnectError('IC_ERR_CONNECT', 'first\nsecond \u001B[31m'));

    expect(lines[0]).toContain('to /run/hub.sock has lost');
    expect(lines[1]).toBe('first\\nsecond \\u001b[31m');
  });
});
