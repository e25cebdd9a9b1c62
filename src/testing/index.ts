/** The exports of `nestjs-interconnect/testing`: helpers for a user's own tests, which need no port. */
export { createInterconnectContext } from './context.js';
export { FakeInterconnectClient } from './fake-client.js';
export { InterconnectPair } from './pair.js';
export { MemoryNetwork } from '../endpoint/index.js';

export type { Network } from '../endpoint/index.js';
export type { InterconnectContextOptions } from './context.js';
export type { FakeReply } from './fake-client.js';
export type { FakeCall } from './fake-exchange.js';
export type { InterconnectPairOptions, MicroserviceFactory } from './pair.js';
