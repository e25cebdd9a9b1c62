/** The door `nestjs-interconnect/testing`: what a user's own tests need, and no port. */
export { createInterconnectContext } from './context.js';
export { FakeInterconnectClient } from './fake-client.js';
export { InterconnectPair } from './pair.js';
export { InterconnectTestAddress } from './test-address.js';

export type { InterconnectContextOptions } from './context.js';
export type { FakeCall, FakeReply } from './fake-client.js';
export type { InterconnectPairOptions, MicroserviceFactory } from './pair.js';
