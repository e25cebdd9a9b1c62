/**
 * The transport id of every `InterconnectServer`. A handler that must not be served by another
 * transport of a hybrid application names it: `@MessagePattern('replicate', INTERCONNECT_TRANSPORT)`.
 * From the global registry, so that two copies of this package agree on it.
 */
export const INTERCONNECT_TRANSPORT = Symbol.for('nestjs-interconnect');

/** Where `InterconnectModule` keeps its options. */
export const INTERCONNECT_MODULE_OPTIONS = Symbol.for('nestjs-interconnect.module-options');

/** As for Nest's TCP transport: without a host, only this machine is served. */
export const DEFAULT_HOST = 'localhost';
/** As for Nest's TCP transport. */
export const DEFAULT_PORT = 3000;

/** Nest's own sentences, word for word: users grep for them. */
export const NO_HANDLER_MESSAGE =
  'There is no matching message handler defined in the remote service.';
export const INTERNAL_ERROR_MESSAGE = 'Internal server error';
export const NOT_LISTENING_MESSAGE =
  'Not initialized. Please call the "listen"/"startAllMicroservices" method before accessing the server.';
export const NOT_CONNECTED_MESSAGE = 'Not initialized. Please call the "connect" method first.';
