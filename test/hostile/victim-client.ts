/** The role `client`: a Nest client of a hostile server. Its calls to an honest server show what the attack does to others. */
import 'reflect-metadata';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { InterconnectClient } from 'nestjs-interconnect';
import type { ClientSetting } from './program.js';
import { answer } from './questions.js';
import { Steady } from './steady.js';
import { counters, forget, held } from './work.js';

/** Calls of the work `many`, the payload of each, and the items of an upload. */
const MANY = 100_000;
const PAYLOAD = Buffer.alloc(4096, 'payload ');
const ITEMS = 2_000_000;

const CALL = Buffer.from('1');

type Target = InterconnectClient<unknown>;

const failures: Record<string, number> = {};
let words = '';
let steady: Steady | undefined;
let client: Target | undefined;
const life = { isOver: false };

const works: Record<ClientSetting['work'], (to: Target) => Promise<unknown>> = {
  /** A call each 10 ms, with a deadline. */
  calls: (to) =>
    repeat(async () => {
      void note(to.request('echo', CALL, { timeout: 5000 }));
      await sleep(10);
    }),
  /** As many calls as there are, at once. */
  many: async (to) => {
    for (let count = 0; count < MANY && !life.isOver; count++) {
      void note(to.request('echo', PAYLOAD));
      if (count % 1000 === 0) await sleep(1);
    }
  },
  /** One streamed request. */
  upload: (to) => note(to.request('upload', Readable.from(pieces()))),
  /** Calls whose answers can be streams: 64 at once, again and again. */
  stream: (to) =>
    repeat(async () => {
      for (let count = 0; count < 64; count++) {
        to.send('rows', Buffer.alloc(0)).subscribe({ error: (error: unknown) => failed(error) });
      }
      await sleep(1000);
    }),
};

answer({
  start: async ({ honest }: { honest: number }) => {
    steady = await Steady.start({ host: '127.0.0.1', port: honest });
  },
  /** Begins to use the hostile server. */
  work: ({ setting, port }: { setting: ClientSetting; port: number }) => {
    client = new InterconnectClient<unknown>({
      host: '127.0.0.1',
      port,
      encoding: setting.encoding,
    });
    void works[setting.work](client);
  },
  begin: () => steady?.begin(),
  end: () => steady?.end(),
  stop: () => {
    life.isOver = true;
    void client?.close();
  },
  held,
  forget,
  counters: () => ({ ...counters(), failures, words }),
});

function* pieces(): Generator<Buffer> {
  for (let count = 0; count < ITEMS; count++) yield PAYLOAD;
}

async function repeat(step: () => Promise<void>): Promise<void> {
  while (!life.isOver) await step();
}

async function note(call: Promise<unknown>): Promise<void> {
  try {
    await call;
    failures['none'] = (failures['none'] ?? 0) + 1;
  } catch (error) {
    failed(error);
  }
}

function failed(error: unknown): void {
  const { code, message } = error as { code?: unknown; message: string };
  failures[String(code)] = (failures[String(code)] ?? 0) + 1;
  if (words.length < 4000) words += `${message}\n`;
}
