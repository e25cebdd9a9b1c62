/** Runs one attack program beside an honest client, and measures what became of the victim and of the honest client. */
import { certificates } from '../support/peers/certificates.js';
import type { Counters, Program } from './program.js';
import { Child } from './questions.js';
import type { Notice } from './steady.js';

export interface Measured {
  /** The reaction that the attacker saw. */
  readonly reaction: string;
  /** The honest side before the attack, during the attack, and beside a process that only uses as much CPU. */
  readonly quiet: Notice;
  readonly attacked: Notice;
  readonly burnt: Notice;
  /** Octets over the baseline: what the victim still holds when the attack is over, and the peak of the resident set. */
  readonly held: number;
  readonly peak: number;
  /** Seconds of CPU that attacker and victim used during the attack. */
  readonly attackerCpu: number;
  readonly victimCpu: number;
  readonly counters: Counters;
  /** What the victim wrote during the attack. */
  readonly lines: number;
  readonly octets: number;
  readonly text: string;
}

/** The processes that serve all trials of a run. */
export class Arena {
  readonly #honest: Child;
  readonly #burner: Child;

  private constructor(honest: Child, burner: Child) {
    this.#honest = honest;
    this.#burner = burner;
  }

  static async open(): Promise<Arena> {
    const [honest, burner] = await Promise.all([Child.start('honest'), Child.start('burner')]);
    return new Arena(honest, burner);
  }

  async close(): Promise<void> {
    await Promise.all([this.#honest.kill(), this.#burner.kill()]);
  }

  /** Runs a program for about `seconds`. Throws if the victim ends, or does not answer. */
  async run(program: Program, seconds: number, seed: number): Promise<Measured> {
    const [victim, attacker] = await Promise.all([
      Child.start(program.victim.kind),
      Child.start('attacker'),
    ]);
    try {
      return await this.#measure(program, { victim, attacker, seconds, seed });
    } finally {
      await this.#honest.ask('stop');
      await Promise.all([victim.kill(), attacker.kill()]);
    }
  }

  async #measure(program: Program, trial: Trial): Promise<Measured> {
    const { victim, attacker, seconds, seed } = trial;
    const { caller, hostile, order } = await this.#prepare(program, victim, attacker);
    const notice = async (work: Promise<unknown>): Promise<Notice> => {
      await caller.ask('begin');
      await work;
      return caller.ask<Notice>('end', undefined, PATIENCE);
    };
    // The first calls compile the victim's code.
    await pause(WARM_UP);
    const quiet = await notice(pause(seconds * 500));
    const before = await victim.ask<number>('held');
    victim.forgetPeak();
    const { now } = victim.resident;
    await victim.ask('forget');
    const written = { ...victim.output };
    const [attackerBefore, victimBefore] = [attacker.cpu, victim.cpu];
    let reaction = '';
    const attack = attacker
      .ask<string>('attack', { name: program.name, seconds, seed, ...order }, PATIENCE)
      .then((seen) => (reaction = seen));
    attack.catch(() => undefined);
    if (hostile !== undefined) {
      await victim.ask('work', { setting: program.victim, port: hostile });
    }
    // An attack that is over at once leaves time for honest calls, which show its effects.
    const attacked = await notice(Promise.all([attack, pause(seconds * 500)]));
    const [attackerCpu, victimCpu] = [attacker.cpu - attackerBefore, victim.cpu - victimBefore];
    const counters = await victim.ask<Counters>('counters', undefined, PATIENCE);
    const held = (await victim.ask<number>('held', undefined, PATIENCE)) - before;
    const peak = victim.resident.peak - now;
    await attacker.kill();
    const { lines, octets, text } = victim.output;
    const share = Math.min(1, (attackerCpu || 0) / seconds);
    const burnt = await notice(this.#burner.ask('burn', { share, seconds: seconds / 2 }));
    return {
      reaction,
      quiet,
      attacked,
      burnt,
      held,
      peak,
      attackerCpu,
      victimCpu,
      counters,
      lines: lines - written.lines,
      octets: octets - written.octets,
      text: text.slice(written.text.length),
    };
  }

  /** Starts victim and honest client. `caller`: the process with the honest calls. */
  async #prepare(program: Program, victim: Child, attacker: Child) {
    const setting = program.victim;
    if (setting.kind === 'client') {
      const honest = await this.#honest.ask<number>('listen');
      await victim.ask('start', { honest });
      const hostile = await attacker.ask<number>('listen');
      return { caller: victim, hostile, order: { port: 0 } };
    }
    const papers = setting.tls === undefined ? undefined : await certificates();
    const port = await victim.ask<number>('start', { setting, certificates: papers });
    const tls = papers && { ca: papers.ca, ...papers.client, servername: 'localhost' };
    const options = { host: '127.0.0.1', port, tls };
    await this.#honest.ask('start', { options, manner: program.honest ?? {} });
    return { caller: this.#honest, hostile: undefined, order: { port, certificates: papers } };
  }
}

interface Trial {
  readonly victim: Child;
  readonly attacker: Child;
  readonly seconds: number;
  readonly seed: number;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

const WARM_UP = 300;
/** Milliseconds until a victim counts as one that does not answer. */
const PATIENCE = 30_000;
