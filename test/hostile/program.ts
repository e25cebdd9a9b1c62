/** What an attack program is. Programs are rows of tables: a name, an attack, and the reaction that PROTOCOL.md demands. */
import type { HostilePeer, HostilePeerOptions } from './hostile-peer.js';
import type { Certificates } from '../support/peers/certificates.js';
import type { Manner } from './steady.js';

/** What an attack works with. */
export interface Scene {
  /** The port of the victim. 0 if the victim is a client. */
  readonly port: number;
  /** Whether the time of the attack is over. Attacks end soon after. */
  readonly isOver: boolean;
  /** Milliseconds until then. */
  readonly left: number;
  /** The certificates of the victim, if it has TLS. */
  readonly certificates: Certificates;
  /** A random whole number below `below`. The seed of the run decides all of them. */
  random(below: number): number;
  /** A socket to the victim, without an octet. It stays open until the trial has measured the memory. */
  dial(options?: HostilePeerOptions): Promise<HostilePeer>;
  /** A socket with a finished handshake. `meta` replaces fields of HELLO. */
  open(meta?: HostilePeerOptions['meta'], options?: HostilePeerOptions): Promise<HostilePeer>;
  /** Calls `serve` for each socket that a client victim opens, until the time is over. */
  serve(serve: (peer: HostilePeer) => unknown): Promise<void>;
  /** Sockets that a client victim has opened so far. */
  readonly served: number;
}

/** The settings of a victim that is a server. */
export interface ServerSetting {
  readonly kind: 'nest' | 'core';
  readonly encoding?: 'binary' | 'json';
  readonly tls?: 'server' | 'mutual';
  /** Milliseconds. */
  readonly handshakeTimeout?: number;
  readonly resumeTimeout?: number;
  /** Who is let in. `token`: dialers whose data are `honest`. `slow`: everyone, after a second. */
  readonly authenticate?: 'token' | 'slow';
}

/** The settings of a victim that is a client: what the victim does with the hostile server. */
export interface ClientSetting {
  readonly kind: 'client';
  readonly encoding?: 'binary' | 'json';
  readonly work: 'calls' | 'many' | 'upload' | 'stream';
}

/** Counters of a victim, for judgements that no peer can make from outside. */
export interface Counters {
  /** Handlers that ran at once, at most. */
  readonly mostRunning: number;
  /** Runs of `authenticate`, and how many ran at once, at most. */
  readonly hooks: number;
  readonly mostHooks: number;
  /** The longest time in which the event loop stood, in milliseconds. */
  readonly stood: number;
  /** Errors that the victim's own calls ended with, by code, and a sample of their messages. */
  readonly failures: Readonly<Record<string, number>>;
  readonly words: string;
}

export interface Program {
  /** Unique, in kebab case. */
  readonly name: string;
  /** What the peer does. */
  readonly about: string;
  readonly victim: ServerSetting | ClientSetting;
  /** The reaction must be one of these, or match. */
  readonly expect: string | RegExp;
  /** Attacks, and returns the reaction that the attacker saw. */
  readonly attack: (scene: Scene) => Promise<string>;
  /** MiB that the victim may hold for its peers meanwhile, beside the 32 MiB that every trial allows. Default 0. */
  readonly budget?: number;
  readonly honest?: Manner;
  /** The victim's side of the reaction: a fault, or undefined. */
  readonly judge?: (counters: Counters) => string | undefined;
}

/** Limits of counters, as a judge. */
export function atMost(
  limits: Partial<Record<'mostRunning' | 'hooks' | 'mostHooks' | 'stood', number>>,
) {
  return (counters: Counters): string | undefined =>
    Object.entries(limits)
      .filter(([name, limit]) => counters[name as 'hooks'] > limit)
      .map(([name, limit]) => `${name} ${Math.round(counters[name as 'hooks'])} above ${limit}`)
      .join(', ') || undefined;
}

export const NEST: ServerSetting = { kind: 'nest' };
export const CORE: ServerSetting = { kind: 'core' };
