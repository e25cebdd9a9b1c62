import { commonNameOf, Listener, printable } from '../../endpoint/index.js';
import type { Connection, ListenAddress } from '../../endpoint/index.js';
import type { ConnectionSource, SourceEffects } from './connection-source.js';
import { toListenerOptions } from '../common/interconnect.options.js';
import type { InterconnectServerOptions } from '../common/interconnect.options.js';

/** The connections of peers that connect to this server. */
export class Listening implements ConnectionSource {
  private readonly listener: Listener;

  constructor(options: InterconnectServerOptions, effects: SourceEffects) {
    this.listener = new Listener(toListenerOptions(options));
    this.listener.on('connection', (connection) =>
      effects.onConnection(connection, identityOf(connection)),
    );
    this.listener.on('handlerError', (error) => effects.onError(error));
    this.listener.on('tlsError', (error, address = 'an unknown address') =>
      effects.onWarning('tls', `The TLS handshake with ${address} failed: ${error.message}`),
    );
    this.listener.on('certificateExpiry', ({ subject, expires, days }) =>
      effects.onWarning(
        'certificate',
        `The certificate ${printable(subject)} expires at ${expires.toISOString()} (days left: ${days}). Renew it.`,
      ),
    );
    this.listener.on('stranger', (stranger) => effects.onStranger(stranger));
    this.listener.on('drop', (dropped) => effects.onDrop(dropped));
  }

  get underlying(): unknown {
    return this.listener.server;
  }

  open(): Promise<ListenAddress> {
    return this.listener.listen();
  }

  async close(timeout: number): Promise<void> {
    // A listener that has not bound yet has nothing to drain.
    if (timeout > 0 && this.listener.address !== undefined) await this.listener.drain({ timeout });
    await this.listener.close();
  }
}

function identityOf({ principal, peer }: Connection): string {
  if (principal !== '' || !peer.authorized) return principal;
  return (peer.certificate && commonNameOf(peer.certificate).name) ?? '';
}
