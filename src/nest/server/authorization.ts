/** Decides which peer may call which pattern, before a handler or a guard sees a message. */
import type { MessageHandler } from '@nestjs/microservices';
import type { InterconnectAccess, InterconnectAuthorize } from '../common/access.js';
import { isPromiseLike } from '../common/promises.js';
import { nextOf } from './handler-chain.js';

/** Takes the decision, at once or later. Only `true` allows. */
export function authorize(
  ask: InterconnectAuthorize,
  access: InterconnectAccess,
  decided: (decision: unknown) => void,
  failed: (error: unknown) => void,
): void {
  try {
    const decision = ask(access);
    if (isPromiseLike(decision)) decision.then(decided, failed);
    else decided(decision);
  } catch (error) {
    failed(error);
  }
}

/** The extras of a pattern's handlers as one object. */
export function allExtrasOf(handler: MessageHandler): Readonly<Record<string, unknown>> {
  const extras: Record<string, unknown> = { ...handler.extras };
  for (let next = nextOf(handler); next !== undefined; next = nextOf(next)) {
    Object.assign(extras, next.extras);
  }
  return extras;
}
