/**
 * Faults that are known and not mended yet, by the programs that show them. The campaign runs these programs and reports
 * them as open: they count neither as passed nor as failed.
 */
const TURNS = 'H1: one connection delays the others, because connections take no turns';
const HANDLERS = 'H2: too many handlers of one connection run at once';
const PLACES = 'H7: one address can take all places';
const LINES =
  'H9, H8: each handler that throws makes a line, with the words of its error as they are';
const HOOKS = 'M1: authenticate has no rate, and no limit at once';

export const OPEN: Readonly<Record<string, string>> = {
  'exhaust-mute': PLACES,
  'flood-open-end': TURNS,
  'flood-closed-send': TURNS,
  'flood-refused-open': TURNS,
  'messages-sessions': TURNS,
  'rapid-reset': HANDLERS,
  'short-deadlines': HANDLERS,
  'detach-running': HANDLERS,
  fragments: TURNS,
  'sessions-credit': TURNS,
  'big-answers-unread': HANDLERS,
  'empty-answers-unread': TURNS,
  'upload-empty-items': TURNS,
  'detached-unfinished': TURNS,
  'brute-force': HOOKS,
  'hook-concurrency': HOOKS,
  'log-unknown': TURNS,
  'log-json': TURNS,
  'log-faults': LINES,
  'log-events': LINES,
  'log-refused-streams': TURNS,
};
