/**
 * Faults that are known and not mended yet, by the programs that show them. The campaign runs these programs and reports
 * them as open: they count neither as passed nor as failed.
 */
const TURNS = 'H1: one connection delays the others, although connections take turns of 320 frames';
const HANDLERS = 'H2: too many handlers of one connection run at once';
const LINES =
  'H9, H8: each handler that throws makes a line, with the words of its error as they are';

export const OPEN: Readonly<Record<string, string>> = {
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
  'log-unknown': TURNS,
  'log-json': TURNS,
  'log-faults': LINES,
  'log-events': LINES,
  'log-refused-streams': TURNS,
};
