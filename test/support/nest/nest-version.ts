import { ClientProxy } from '@nestjs/microservices';

/**
 * Whether this run uses Nest 11. Tests run on Nest 12 first and on Nest 11 second. `dispatch-hook.spec.ts` would fail
 * on Nest 11.
 */
export const isNest11 = !('setOnDispatchHook' in ClientProxy.prototype);
