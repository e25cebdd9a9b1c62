/** Warns once a day while a certificate of a listener is about to expire. */
import type { Clock } from '../common/clock.js';
import { wallTime } from '../common/runtime.js';
import type { ListenerTlsOptions } from './tls-options.js';
import { certificatesIn } from './tls-trust.js';

/** A certificate that expires soon, or has expired. */
export interface CertificateExpiry {
  /** The subject of the certificate, in one line. */
  readonly subject: string;
  /** The instant from which on dialers refuse the certificate. */
  readonly expires: Date;
  /** Whole days until then; negative if the certificate has expired. */
  readonly days: number;
}

/** @internal */
export class CertificateWatch {
  readonly #clock: Clock;
  readonly #onExpiry: (expiry: CertificateExpiry) => void;
  /** The wall time at the clock's zero. The clock is monotonic, and a test owns it. */
  readonly #epoch: number;
  #tls: ListenerTlsOptions;
  #stopTimer: (() => void) | undefined;

  constructor(
    tls: ListenerTlsOptions,
    clock: Clock,
    onExpiry: (expiry: CertificateExpiry) => void,
  ) {
    this.#tls = tls;
    this.#clock = clock;
    this.#onExpiry = onExpiry;
    this.#epoch = wallTime() - clock.now();
  }

  /** Looks now, and from now on once a day. */
  begin(): void {
    this.end();
    this.#stopTimer = this.#clock.setTimer(DAY, () => this.begin());
    const now = this.#epoch + this.#clock.now();
    for (const { subject, validTo } of certificatesIn(this.#tls.cert)) {
      const expires = new Date(validTo);
      const rest = expires.getTime() - now;
      const days = Math.floor(rest / DAY);
      if (rest < WARNED) this.#onExpiry({ subject: subject.replaceAll('\n', ', '), expires, days });
    }
  }

  /** Looks at other certificates from now on. */
  replace(tls: ListenerTlsOptions): void {
    this.#tls = tls;
    if (this.#stopTimer !== undefined) this.begin();
  }

  end(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }
}

/** Milliseconds. */
const DAY = 86_400_000;
/** Milliseconds before the end of a certificate. */
const WARNED = 30 * DAY;
