/**
 * The transport id of every `InterconnectServer`. A handler that must not be served by another
 * transport of a hybrid application names it: `@MessagePattern('replicate', INTERCONNECT_TRANSPORT)`.
 * The symbol is in the global registry, so that two copies of this package agree on it.
 */
export const INTERCONNECT_TRANSPORT = Symbol.for('nestjs-interconnect');

/** The token of the options of `InterconnectModule`. */
export const INTERCONNECT_MODULE_OPTIONS = Symbol.for('nestjs-interconnect.module-options');

/** The default of Nest's TCP transport too. It serves only this machine. */
export const DEFAULT_HOST = 'localhost';
/** The default of Nest's TCP transport too. */
export const DEFAULT_PORT = 3000;

/** Nest's own sentences, word for word, because users search for them. */
export const NO_HANDLER_MESSAGE =
  'There is no matching message handler defined in the remote service.';
/** For a peer that the option `authorize` refuses openly. */
export const FORBIDDEN_MESSAGE = 'This peer is not allowed to call the pattern.';
export const INTERNAL_ERROR_MESSAGE = 'Internal server error';
export const NOT_LISTENING_MESSAGE =
  'Not initialized. Please call the "listen"/"startAllMicroservices" method before accessing the server.';
export const NOT_CONNECTED_MESSAGE = 'Not initialized. Please call the "connect" method first.';
