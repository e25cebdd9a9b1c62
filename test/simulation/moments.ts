/** Counts the circumstances in which messages failed. The counts of a campaign show which circumstances occurred. */
import type { FailureKind } from '../../src/protocol/index.js';
import type { Attempt } from './attempt.js';

export class Moments {
  readonly counts = new Map<string, number>();

  /** A message has failed. */
  note(kind: FailureKind, attempt: Attempt): void {
    const name = `${kind}: ${momentOf(attempt)}`;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  add(other: Iterable<readonly [string, number]>): void {
    for (const [name, count] of other) this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }
}

/** The progress of the message, and the state of its connection. */
function momentOf({ hasLeft, isWhole, message, channel }: Attempt): string {
  const { half } = channel;
  const { machine, end } = half;
  const words: string[] = [];
  if (!machine.hasBegun) words.push('before the first socket');
  else if (end.continuity.machine !== machine) words.push('on a former connection');
  else if (end.isDetached) words.push('without a socket');
  else if (machine.output.sent.next !== undefined) words.push('during a replay');
  else words.push(end.isBlocked ? 'while the socket is blocked' : 'on a socket');
  if (machine.drains || machine.peerDrains) words.push('in a drain');
  if (channel.hasLeft) words.push(hasLeft ? stageOf(isWhole, message.acknowledged) : 'not written');
  else words.push('OPEN not written');
  return words.join(', ');
}

function stageOf(isWhole: boolean, isAcknowledged: boolean): string {
  if (!isWhole) return 'amid fragments';
  return isAcknowledged ? 'acknowledged' : 'written';
}
