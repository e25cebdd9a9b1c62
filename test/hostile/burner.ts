/** The role `burner`: uses CPU, and nothing else. An attack that only does the same is no fault of the victim. */
import { setTimeout as sleep } from 'node:timers/promises';
import { answer } from './questions.js';

/** Milliseconds of one turn of work and rest. */
const TURN = 20;

answer({
  /** Uses `share` of one CPU for a time. */
  burn: async ({ share, seconds }: { share: number; seconds: number }) => {
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const stop = performance.now() + TURN * Math.min(1, share);
      while (performance.now() < stop) Math.sqrt(stop);
      await sleep(TURN * Math.max(0, 1 - share));
    }
  },
});
