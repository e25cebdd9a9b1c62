/** What must be true when a life is over, of each message, each connection and each socket. */
import { Code } from '../../src/wire/index.js';
import type { Attempt } from './attempt.js';
import type { Delivery } from './delivery.js';
import type { Letter } from './letter.js';
import type { World } from './world.js';

/** @throws where something is left, or an application was told what has not happened. */
export function expectEnd(world: World): void {
  for (const letter of world.letters) {
    expectTruth(letter);
    expectItems(letter);
  }
  for (const end of world.all) {
    if (end.closed === undefined) throw new Error(`A ${end.role} is not closed.`);
    if (!end.isGone) throw new Error(`A ${end.role} is not gone.`);
    for (const { channels } of end.halves) {
      const open = channels.find(({ closed }) => closed === undefined);
      if (open !== undefined) throw new Error(`"${open.session.name}" is not closed.`);
    }
  }
  if (world.time.timers > 0) throw new Error(`${world.time.timers} timers are left.`);
  for (const [at, link] of world.links.entries()) {
    for (const side of [0, 1]) {
      if (link.socket(side).destroyed || link.isCut || !link.socket(side).isUsed) continue;
      throw new Error(`Socket ${at + 1} is left, at the ${side === 0 ? 'dialer' : 'listener'}.`);
    }
  }
}

/** What the sender was told is what happened. */
function expectTruth(letter: Letter): void {
  const { result, name, deliveries, attempts } = letter;
  if (result === undefined) throw new Error(`${name} is pending for ever.`);
  for (const attempt of attempts) expectLeft(attempt);
  const delivery = deliveries.at(-1);
  if (result.kind === 'failed' && result.executed === 'yes' && delivery === undefined) {
    throw new Error(`${name} did not run, and says: ${letter.outcome}.`);
  }
  if (result.kind === 'accepted') expectAnswer(letter, delivery, 'accepted', result.data);
  if (result.kind === 'rejected' && HANDLERS.has(result.code)) {
    // The library itself rejects with FAILED what it cannot receive.
    if (delivery?.aborted === 'too-large') return;
    expectAnswer(letter, delivery, `rejected ${result.code}`, result.data);
  }
}

/** What may have run has left, and what was sent has left whole. */
function expectLeft({ failure, hasLeft, isWhole, name, letter }: Attempt): void {
  if (failure === undefined && letter.result?.kind === 'sent' && !isWhole) {
    throw new Error(`${name} is said to be sent, and has not left.`);
  }
  if (failure === undefined || failure.executed === 'no' || hasLeft) return;
  throw new Error(`${name} fails: ${failure.kind}, ${failure.executed}; and has never left.`);
}

function expectAnswer(
  letter: Letter,
  delivery: Delivery | undefined,
  kind: string,
  data: Buffer,
): void {
  if (`${kind} ${data.toString('latin1')}` === delivery?.answer) return;
  throw new Error(
    `${letter.name} has an outcome that its handler did not give: ${letter.outcome}.`,
  );
}

/** Whatever was taken is what was given, in its order and from the first; and all of it where it ended. */
function expectItems({ name, result, options, items, deliveries }: Letter): void {
  const delivery = deliveries.at(-1);
  const hasAnswer = result?.kind === 'accepted' && options.takesItems === true;
  for (const [which, taken, given, isWhole] of [
    ['request', delivery?.items ?? [], options.items ?? [], delivery?.hasAllItems === true],
    ['answer', items, delivery?.replies ?? [], delivery?.hasReplied === true && hasAnswer],
  ] as const) {
    if (taken.some((item, at) => given[at]?.equals(item) !== true)) {
      throw new Error(`${name} has an item in its ${which} that is not the one given.`);
    }
    if (isWhole && taken.length < given.length) {
      throw new Error(`${name} has ${taken.length} of ${given.length} items in its ${which}.`);
    }
  }
}

/** With what the handlers of a life reject: other codes are the library's own. */
const HANDLERS: ReadonlySet<number> = new Set([Code.FAILED, Code.REFUSED, 0x8001, 0xc001]);
