/** Checks each message, connection and socket at the end of a life. */
import { Code } from '../../src/wire/index.js';
import type { Attempt } from './attempt.js';
import type { Delivery } from './delivery.js';
import type { Letter } from './letter.js';
import type { World } from './world.js';

/** @throws if anything is left, or if an application was told something that did not happen. */
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

/** Checks the outcome that the sender was told. */
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
    // The library itself rejects a message with FAILED if it cannot receive the message.
    if (delivery?.aborted === 'too-large') return;
    expectAnswer(letter, delivery, `rejected ${result.code}`, result.data);
  }
}

/** Checks that a message has left if its handler may have run, and has left whole if it counts as sent. */
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

/**
 * Checks that the taken items are the first of the given items, in order, and all of them if the stream has ended.
 */
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

/** The codes with which handlers reject. All other codes come from the library. */
const HANDLERS: ReadonlySet<number> = new Set([Code.FAILED, Code.REFUSED, 0x8001, 0xc001]);
