/** All attack programs. */
import type { Program } from '../program.js';
import { floods } from './floods.js';
import { identity } from './identity.js';
import { malformed } from './malformed.js';
import { memory } from './memory.js';
import { payloads } from './payloads.js';
import { servers } from './servers.js';
import { strangers } from './strangers.js';
import { turns } from './turns.js';

export const programs: readonly Program[] = [
  ...strangers,
  ...malformed,
  ...floods,
  ...turns,
  ...memory,
  ...identity,
  ...payloads,
  ...servers,
];
