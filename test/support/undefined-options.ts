/** Options with the value `undefined`. If a table here lacks an option of its type, it does not compile. */
import type { EndpointOptions } from 'nestjs-interconnect/core';

/** Every option of a type. */
export type Nothing<Options> = Record<keyof Options, undefined>;

export const ENDPOINT: Nothing<EndpointOptions> = {
  maxFrameSize: undefined,
  maxMessageSize: undefined,
  maxSessions: undefined,
  maxUnsettled: undefined,
  maxItems: undefined,
  sessionWindow: undefined,
  connectionWindow: undefined,
  memoryLimit: undefined,
  budget: undefined,
  maxQueuedMessages: undefined,
  maxQueuedBytes: undefined,
  handshakeTimeout: undefined,
  sessionTimeout: undefined,
  messageTimeout: undefined,
  idleTimeout: undefined,
  agent: undefined,
  network: undefined,
  clock: undefined,
  scope: undefined,
};
