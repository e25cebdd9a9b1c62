import { describe, expect, it } from '@jest/globals';
import { Carrier } from '../../../src/endpoint/link/carrier.js';
import { Continuity, type ContinuityEffects } from '../../../src/endpoint/link/continuity.js';
import { InterconnectError } from '../../../src/endpoint/common/errors.js';
import { resolveOptions } from '../../../src/endpoint/common/options.js';
import type { Reconnector } from '../../../src/endpoint/link/reconnector.js';
import { EMPTY } from '../../../src/wire/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

describe('What keeps a connection going', () => {
  it('says once that all is gone, when it has given up and the drained connection ends last', () => {
    const told: string[] = [];
    const continuity = newContinuity(told);
    const former = continuity.machine.effects;
    if (!(former instanceof Carrier)) throw new Error('The machine has no carrier.');
    former.draining();
    const error = new InterconnectError('IC_ERR_CONNECT', 'Nobody is there.');
    continuity.onGivenUp({ error, reason: '', isLasting: false, isRefusal: false });
    expect(told).toEqual(['detached']);

    former.close(0, '', EMPTY);

    expect(told).toEqual(['detached', 'closed no-socket', 'gone']);
  });
});

function newContinuity(told: string[]): Continuity {
  const listener: ContinuityEffects = {
    isWanted: () => true,
    onRoundFailed: () => undefined,
    onSession: () => undefined,
    onAttached: () => undefined,
    onDetached: () => void told.push('detached'),
    onRenewing: () => undefined,
    onDrained: () => undefined,
    onClosed: (failure) => void told.push(`closed ${failure?.kind}`),
    onGone: () => void told.push('gone'),
  };
  const idle = { comesBack: true, start: () => undefined, stop: () => undefined };
  const settings = resolveOptions({ clock: new ManualClock() });
  return new Continuity('dialer', settings, listener, () => idle as unknown as Reconnector);
}
