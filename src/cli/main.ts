#!/usr/bin/env node
/** The program: connects the command to the standard streams, the signals and the exit code of the process. */
import { interconnect } from './interconnect.js';

const end = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // The listener runs once: at a second signal, Node ends the process itself.
  process.once(signal, () => end.abort());
}

process.exitCode = await interconnect(process.argv.slice(2), {
  out: (text) => void process.stdout.write(`${text}\n`),
  error: (text) => void process.stderr.write(`${text}\n`),
  env: process.env,
  end: end.signal,
});
