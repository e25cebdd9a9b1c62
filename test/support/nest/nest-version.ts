import { ClientProxy } from '@nestjs/microservices';

/** Whether this is the second run, on Nest 11, and not the first, on Nest 12: `dispatch-hook.spec.ts` would fail on 11. */
export const isNest11 = !('setOnDispatchHook' in ClientProxy.prototype);
