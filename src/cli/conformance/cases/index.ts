/** All cases, in the order in which they run and are listed. */
import type { ConformanceCase } from '../conformance-case.js';
import { closeCases } from './close.js';
import { creditCases } from './credit.js';
import { drainCases } from './drain.js';
import { floodCases } from './floods.js';
import { flowCases } from './flow.js';
import { fragmentCases } from './fragments.js';
import { greetingCases } from './greetings.js';
import { handshakeCases } from './handshake.js';
import { headerCases } from './header.js';
import { keepaliveCases } from './keepalive.js';
import { matrixCases } from './matrix.js';
import { messageRuleCases } from './message-rules.js';
import { messageCases } from './messages.js';
import { metaCases } from './meta.js';
import { prefaceCases } from './preface.js';
import { ownResumeCases } from './own-resume.js';
import { resumeCases } from './resume.js';
import { sessionRuleCases } from './session-rules.js';
import { sessionCases } from './sessions.js';
import { streamCases } from './streams.js';
import { streamRuleCases } from './stream-rules.js';

/** The groups, in the order in which they run. */
export const GROUPS = [
  'handshake',
  'sessions',
  'messages',
  'fragments',
  'flow',
  'keepalive',
  'close',
  'streams',
  'drain',
  'resume',
  'matrix',
  'malformed',
] as const;

const ALL: readonly ConformanceCase[] = [
  ...prefaceCases,
  ...greetingCases,
  ...handshakeCases,
  ...headerCases,
  ...metaCases,
  ...sessionRuleCases,
  ...sessionCases,
  ...messageRuleCases,
  ...messageCases,
  ...fragmentCases,
  ...creditCases,
  ...flowCases,
  ...keepaliveCases,
  ...closeCases,
  ...streamCases,
  ...streamRuleCases,
  ...drainCases,
  ...resumeCases,
  ...ownResumeCases,
  ...floodCases,
  ...matrixCases,
];

/** Orders the cases by their groups, and in each group by the numbers in their names. */
export const CASES: readonly ConformanceCase[] = GROUPS.flatMap((group) =>
  ALL.filter(({ id }) => id.startsWith(`${group}/`)).toSorted(byName),
);

function byName(a: ConformanceCase, b: ConformanceCase): number {
  return a.id.localeCompare(b.id, 'en', { numeric: true });
}
