#!/usr/bin/env node
/** The program: standard streams, signals, exit code. */
import { interconnect } from './interconnect.js';

const end = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Asked a second time, Node ends the process itself.
  process.once(signal, () => end.abort());
}

process.exitCode = await interconnect(process.argv.slice(2), {
  out: (text) => void process.stdout.write(`${text}\n`),
  error: (text) => void process.stderr.write(`${text}\n`),
  env: process.env,
  end: end.signal,
});
