/**
 * The peers of the benchmarks. Each peer serves the same two sessions: `echo` returns the bytes, and `sink` takes
 * them and returns nothing. A peer loads its packages when it is used, so that no peer slows down another.
 *
 * @typedef {object} Client
 * @property {(payload: Buffer) => Promise<unknown>} send the call as a user writes it, with no further promise
 * @property {(reply: any) => Buffer} read the bytes in the result of `send`
 * @property {() => unknown} close
 *
 * @typedef {object} Peer
 * @property {() => Promise<number>} serve resolves with the port
 * @property {(port: number, session?: 'echo' | 'sink') => Promise<Client>} connect
 */
import { connectRaw, serveRaw } from './raw.mjs';

const host = '127.0.0.1';
const asIs = (reply) => reply;

/** @type {Peer} */
const core = {
  async serve() {
    const { Listener } = await import('nestjs-interconnect/core');
    const listener = new Listener({ host });
    const handlers = {
      echo: (message) => message.respond(message.data),
      sink: (message) => message.accept(),
    };
    listener.on('connection', (connection) => {
      connection.on('session', (session) => {
        session.on('message', handlers[session.name]);
        session.accept();
      });
    });
    const { port } = await listener.listen();
    return port;
  },

  async connect(port, name = 'echo') {
    const { connect } = await import('nestjs-interconnect/core');
    const connection = await connect({ host, port });
    const session = await connection.createSession(name);
    return {
      send: (payload) => session.send(payload),
      read(outcome) {
        if (!outcome.accepted) throw new Error(`rejected: ${outcome.reason}`);
        return outcome.data;
      },
      close: () => connection.close(),
    };
  },
};

/** @type {Peer} */
const nest = {
  async serve() {
    const { InterconnectServer } = await import('nestjs-interconnect');
    const strategy = new InterconnectServer({ host, port: 0 });
    return serveNest({ strategy }, { echo: asIs, sink: () => undefined });
  },

  async connect(port, pattern = 'echo') {
    const { InterconnectClient } = await import('nestjs-interconnect');
    const { lastValueFrom } = await import('rxjs');
    const client = new InterconnectClient({ host, port });
    await client.connect();
    return {
      send: (payload) => lastValueFrom(client.send(pattern, payload)),
      read: asIs,
      close: () => client.close(),
    };
  },
};

/** Nest's TCP transport carries JSON, so both sides must turn bytes into a string and back. */
const toText = (bytes) => bytes.toString('base64');
const toBytes = (text) => Buffer.from(text, 'base64');

/** @type {Peer} */
const nestTcp = {
  async serve() {
    const { Transport } = await import('@nestjs/microservices');
    const options = { transport: Transport.TCP, options: { host, port: 0 } };
    const sink = (text) => toText(toBytes(text).subarray(0, 0));
    return serveNest(options, { echo: (text) => toText(toBytes(text)), sink });
  },

  async connect(port, pattern = 'echo') {
    const { ClientTCP } = await import('@nestjs/microservices');
    const { lastValueFrom } = await import('rxjs');
    const client = new ClientTCP({ host, port });
    await client.connect();
    return {
      send: (payload) => lastValueFrom(client.send(pattern, toText(payload))),
      read: toBytes,
      close: () => client.close(),
    };
  },
};

/** A microservice with one controller. This file is plain JavaScript, so it calls the decorators as functions. */
async function serveNest(options, handlers) {
  await import('reflect-metadata');
  const { Controller, Module } = await import('@nestjs/common');
  const { NestFactory } = await import('@nestjs/core');
  const { MessagePattern, Payload } = await import('@nestjs/microservices');

  class BenchController {
    echo(data) {
      return handlers.echo(data);
    }

    sink(data) {
      return handlers.sink(data);
    }
  }
  function BenchModule() {}

  for (const name of ['echo', 'sink']) {
    const method = Object.getOwnPropertyDescriptor(BenchController.prototype, name);
    MessagePattern(name)(BenchController.prototype, name, method);
    Payload()(BenchController.prototype, name, 0);
  }
  Controller()(BenchController);
  Module({ controllers: [BenchController] })(BenchModule);

  const app = await NestFactory.createMicroservice(BenchModule, { ...options, logger: ['error'] });
  await app.listen();
  return app.unwrap().address().port;
}

/** @type {Record<string, Peer>} */
export const peers = {
  raw: { serve: serveRaw, connect: connectRaw },
  core,
  nest,
  'nest-tcp': nestTcp,
};
