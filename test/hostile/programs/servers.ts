/** Hostile servers: what a client of ours does with a server that obeys nothing. */
import { encodePreface, Flag, FrameType } from '../../../src/wire/index.js';
import { GREEDY, many, rawFrame, type HostilePeer } from '../hostile-peer.js';
import type { ClientSetting, Counters, Program, Scene } from '../program.js';
import { FORGED, FORGERY, RAW } from '../words.js';

const CALLS: ClientSetting = { kind: 'client', work: 'calls' };
const MANY: ClientSetting = { kind: 'client', work: 'many' };
/** Sockets that a client may open in a second to a server that ends each of them. */
const MOST_DIALS = 8;
const FIRST_DIALS = 6;
/** Milliseconds for the reaction of a client that is late, because the machine is busy. */
const LAST = 300;

type Serve = (peer: HostilePeer, scene: Scene) => unknown;

const SEEN: HostilePeer[] = [];

/** Serves each socket, and tells how often the client dialled, or what it did to its first socket. */
async function ambush(scene: Scene, serve: Serve): Promise<string> {
  const began = performance.now();
  await scene.serve((peer) => {
    SEEN.push(peer);
    return serve(peer, scene);
  });
  const seconds = (performance.now() - began) / 1000;
  const most = FIRST_DIALS + MOST_DIALS * seconds;
  if (scene.served > most) return `${scene.served} dials in ${seconds.toFixed(1)} s`;
  return SEEN[0]?.reactionWithin(LAST) ?? 'nobody came';
}

/** Answers OPEN, so that messages come. */
function opened(peer: HostilePeer, onSend: (session: number, id: number) => void): void {
  peer.onFrame = (seen) => {
    if (seen.type === FrameType.OPEN) peer.send({ type: FrameType.OPENED, session: seen.session });
    if (seen.type === FrameType.SEND) onSend(seen.session, seen.id);
  };
}

/** A row: the server does this after WELCOME. */
interface Row {
  readonly name: string;
  readonly about: string;
  readonly victim?: ClientSetting;
  readonly expect: string | RegExp;
  readonly serve: Serve;
  readonly budget?: number;
  readonly judge?: (counters: Counters) => string | undefined;
}

/** The client ends the socket, or goes on and asks seldom. */
const CALM = /^(served|LOST|DROP|CLOSE\(\w+\))$/;

const close =
  (code: number, text = ''): Serve =>
  async (peer) => {
    await peer.welcome();
    peer.send({ type: FrameType.CLOSE, meta: { code, text } });
    peer.socket.end();
  };

/** The words of the other side must be harmless in the client's errors. */
function harmless({ words }: Counters): string | undefined {
  const found = RAW.exec(words) ?? FORGED.exec(words);
  return found === null ? undefined : `an error shows ${JSON.stringify(found[0])}`;
}

const DEEP = Buffer.alloc(2_000_000, '[');

const ROWS: readonly Row[] = [
  { name: 's-close-loop', about: 'CLOSE(OK) after each WELCOME', expect: CALM, serve: close(0) },
  {
    name: 's-overloaded-loop',
    about: 'CLOSE(OVERLOADED) after each WELCOME',
    expect: CALM,
    serve: close(0x0203),
  },
  {
    name: 's-refuse-loop',
    about: 'CLOSE(FORBIDDEN) instead of WELCOME',
    expect: CALM,
    serve: async (peer) => {
      await peer.frame(FrameType.HELLO);
      peer.write(encodePreface());
      peer.send({ type: FrameType.CLOSE, meta: { code: 0x0202 } });
      peer.socket.end();
    },
  },
  {
    name: 's-goaway-loop',
    about: 'GOAWAY after each WELCOME',
    expect: CALM,
    serve: async (peer) => {
      await peer.welcome();
      peer.send({ type: FrameType.GOAWAY });
    },
  },
  {
    name: 's-reset-loop',
    about: 'resets each socket after WELCOME',
    expect: CALM,
    serve: async (peer) => {
      await peer.welcome();
      peer.socket.resetAndDestroy();
    },
  },
  {
    name: 's-reset-at-once',
    about: 'resets each socket before an octet',
    expect: CALM,
    serve: (peer) => peer.socket.resetAndDestroy(),
  },
  {
    name: 's-http',
    about: 'answers in HTTP',
    expect: CALM,
    serve: (peer) => peer.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
  },
  {
    name: 's-hello',
    about: 'sends HELLO to the dialer',
    expect: 'CLOSE(STATE)',
    serve: (peer) => peer.greet(),
  },
  {
    name: 's-welcome-empty',
    about: 'sends a WELCOME without a field',
    expect: 'CLOSE(META)',
    serve: (peer) => peer.write(encodePreface(), rawFrame({ type: FrameType.WELCOME })),
  },
  {
    name: 's-welcome-resumed',
    about: 'claims to resume what nobody began',
    expect: 'CLOSE(PROTOCOL)',
    serve: (peer) => peer.welcome({ resumed: 5 }),
  },
  {
    name: 's-flood-ping',
    about: 'PING upon PING',
    expect: 'CLOSE(CALM)',
    serve: async (peer, scene) => {
      await peer.welcome();
      const piece = many(1000, () => ({ type: FrameType.PING, id: 1 }));
      await peer.pump(scene, () => piece);
    },
  },
  {
    name: 's-idle-1ms',
    about: 'announces an IDLE of 1 ms',
    expect: 'served',
    serve: async (peer, scene) => {
      await peer.welcome({ idle: 1 });
      const began = performance.now();
      peer.onFrame = (seen) => {
        if (seen.type !== FrameType.PING) return;
        peer.send({ type: FrameType.PONG, id: seen.id });
        const seconds = Math.max(1, (performance.now() - began) / 1000);
        // Far too many PINGs: end the socket, so that the reaction shows them.
        if (peer.count(FrameType.PING) > 10 * seconds && !scene.isOver) peer.socket.destroy();
      };
    },
  },
  {
    name: 's-mute',
    about: 'accepts sessions, and never answers a message',
    expect: CALM,
    serve: async (peer) => {
      await peer.welcome();
      opened(peer, () => undefined);
    },
  },
  {
    name: 's-credit-unread',
    about:
      'grants all credit, and reads nothing, while the application makes 100,000 calls of 4 KiB',
    victim: MANY,
    // The queue of 64 MiB belongs to the application.
    budget: 64 + 96,
    expect: CALM,
    judge: ({ failures }) =>
      (failures['IC_ERR_QUEUE_FULL'] ?? 0) > 0
        ? undefined
        : 'no call failed with IC_ERR_QUEUE_FULL',
    serve: async (peer) => {
      await peer.welcome({
        ...GREEDY,
        caps: 1,
        token: { token: Buffer.alloc(32, 7), ttl: 60_000 },
      });
      peer.deaf();
    },
  },
  {
    name: 's-upload-unread',
    about: 'grants all credit for an upload, and reads nothing',
    victim: { kind: 'client', work: 'upload' },
    budget: 64,
    expect: CALM,
    serve: async (peer) => {
      await peer.welcome(GREEDY);
      opened(peer, () => peer.deaf());
    },
  },
  {
    name: 's-partial-answers',
    about: 'begins an answer of 15 MiB to each of 64 calls, and finishes none',
    victim: { kind: 'client', work: 'stream' },
    budget: 96,
    expect: CALM,
    serve: async (peer, scene) => {
      await peer.welcome();
      const part = Buffer.alloc(60_000);
      const ids: number[] = [];
      opened(peer, (_session, id) => ids.push(id));
      await peer.frame(FrameType.SEND);
      await peer.reactionWithin(50);
      let written = 0;
      await peer.pump(scene, () => {
        const id = ids[written % ids.length] ?? 1;
        const isFirst = written < ids.length;
        written += 1;
        if (written > ids.length * 250) return undefined;
        const common = { session: 1, id, flags: Flag.REPLY | Flag.MORE, payload: part };
        return many(1, () =>
          isFirst
            ? { ...common, type: FrameType.ACCEPT, meta: { total: 15_100_000 } }
            : { ...common, type: FrameType.FRAG },
        );
      });
    },
  },
  {
    name: 's-items-beyond',
    about: 'sends more items than the client granted',
    victim: { kind: 'client', work: 'stream' },
    expect: 'CLOSE(FLOW)',
    budget: 32,
    serve: async (peer) => {
      await peer.welcome();
      opened(peer, (session, id) => {
        if (id > 1) return;
        peer.write(
          many(5000, () => ({
            type: FrameType.ITEM,
            session,
            id,
            flags: Flag.REPLY,
            payload: Buffer.from('x'),
          })),
        );
      });
    },
  },
  {
    name: 's-settle-twice',
    about: 'settles each message again and again',
    expect: 'CLOSE(CALM)',
    serve: async (peer) => {
      await peer.welcome();
      opened(peer, (session, id) => {
        const accept = { type: FrameType.ACCEPT, session, id, flags: Flag.REPLY };
        peer.write(many(300, () => accept));
      });
    },
  },
  {
    name: 's-settle-unknown',
    about: 'settles what nobody sent',
    expect: 'CLOSE(PROTOCOL)',
    serve: async (peer) => {
      await peer.welcome();
      opened(peer, (session) =>
        peer.send({ type: FrameType.ACCEPT, session, id: 9999, flags: Flag.REPLY }),
      );
    },
  },
  {
    name: 's-reject-words',
    about: 'rejects with words that forge lines',
    expect: 'served',
    judge: harmless,
    serve: async (peer) => {
      await peer.welcome();
      opened(peer, (session, id) => {
        const meta = { code: 0x0501, text: FORGERY };
        peer.send({ type: FrameType.REJECT, session, id, flags: Flag.REPLY, meta });
      });
    },
  },
  {
    name: 's-close-words',
    about: 'closes with words that forge lines',
    expect: CALM,
    serve: close(0x0101, FORGERY),
    judge: harmless,
  },
  {
    name: 's-refuse-words',
    about: 'refuses sessions with words that forge lines',
    expect: CALM,
    judge: harmless,
    serve: async (peer) => {
      await peer.welcome();
      peer.onFrame = ({ type, session }) => {
        if (type !== FrameType.OPEN) return;
        peer.send({ type: FrameType.END, session, meta: { code: 0x0304, text: FORGERY } });
      };
    },
  },
  {
    name: 's-json-reject',
    about: 'rejects with 2 million open brackets',
    victim: { kind: 'client', work: 'calls', encoding: 'json' },
    budget: 32,
    expect: CALM,
    judge: ({ stood }) => (stood > 500 ? `the loop stood for ${Math.round(stood)} ms` : undefined),
    serve: async (peer) => {
      await peer.welcome();
      opened(peer, (session, id) => {
        if (id > 3) return;
        const flags = Flag.REPLY | Flag.MORE;
        const [head, ...rest] = Array.from({ length: 40 }, (_, at) =>
          DEEP.subarray(at * 50_000, (at + 1) * 50_000),
        );
        const meta = { code: 0x8001, total: DEEP.length };
        peer.send({ type: FrameType.REJECT, session, id, flags, meta, payload: head ?? DEEP });
        rest.forEach((payload, at) => {
          const last = at === rest.length - 1;
          peer.send({
            type: FrameType.FRAG,
            session,
            id,
            flags: last ? Flag.REPLY : flags,
            payload,
          });
        });
      });
    },
  },
  {
    name: 's-requeue',
    about: 'drains while 16,000 calls wait for credit, so that all of them come back',
    victim: MANY,
    budget: 160,
    expect: CALM,
    judge: ({ stood }) => (stood > 2000 ? `the loop stood for ${Math.round(stood)} ms` : undefined),
    serve: async (peer) => {
      await peer.welcome({
        sessionCredit: { messages: 10_000, bytes: 2 ** 30, items: 1 },
        connectionCredit: { opens: 9, bytes: 2 ** 30 },
      });
      opened(peer, () => undefined);
      await peer.frame(FrameType.SEND);
      await peer.reactionWithin(200);
      peer.send({ type: FrameType.GOAWAY });
    },
  },
];

export const servers: readonly Program[] = ROWS.map(({ serve, victim = CALLS, ...row }) => ({
  ...row,
  victim,
  attack: (scene: Scene) => ambush(scene, serve),
}));
