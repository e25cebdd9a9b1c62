import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { certificates } from '../../support/peers/certificates.js';
import { startSumApplication } from '../../support/tcp-suite/sum-application.js';
import type { SumApplication } from '../../support/tcp-suite/sum-application.js';

const NUMBERS = [1, 2, 3, 4, 5];
const TABLES = Array.from({ length: 10 }, (_row, row) =>
  Array.from({ length: 10 }, (_column, column) => 10 * row + column + 1),
);

describe.each([
  ['without encryption', async () => startSumApplication()],
  [
    'over TLS',
    async () => {
      const { ca, server } = await certificates();
      return startSumApplication({ tlsOptions: server }, { tlsOptions: { ca } });
    },
  ],
])('requests %s', (_how, start) => {
  let application: SumApplication;
  beforeAll(async () => {
    application = await start();
  });
  afterAll(() => application.app.close());

  it.each([
    ['a value', '/?command=sum'],
    ['a Promise', '/?command=asyncSum'],
    ['an Observable', '/?command=streamSum'],
    ['a value, for a client of a factory', '/useFactory?command=sum'],
    ['a value, for a client of a class', '/useClass?command=sum'],
  ])('are answered: the handler gives %s', async (_result, path) => {
    expect(await application.post(path, NUMBERS)).toEqual([200, '15']);
  });

  it('are answered each by its own, many at the same time', async () => {
    expect(await application.post('/concurrent', TABLES)).toEqual([200, 'true']);
  });

  it('are answered by a stream, each value by itself', async () => {
    expect(await application.post('/stream', NUMBERS)).toEqual([200, '15']);
  });

  it('without a handler are an error of the server', async () => {
    const [status] = await application.post('/?command=nobody', NUMBERS);

    expect(status).toBe(500);
  });

  it('may be events', async () => {
    const [status] = await application.post('/notify', NUMBERS);

    expect(status).toBe(200);
    expect(await application.controller.notified.promise).toBe(true);
  });

  it.each([
    ['refuse', '{"status":"error","message":"bad numbers"}'],
    ['fail', '{"status":"error","message":"Internal server error"}'],
  ])('that fail give the error in the form that TCP has: %s', async (cmd, form) => {
    // TCP gives the bare object; here it is an RpcException that looks like it.
    expect(await application.post(`/error?client=standard&cmd=${cmd}`, {})).toEqual([
      200,
      `[${form},true]`,
    ]);
  });

  it.each([
    ['refuse', 'handled: bad numbers'],
    ['fail', 'handled: Internal server error'],
  ])(
    'that fail give the error in the form that a client of the application has: %s',
    async (cmd, error) => {
      const [, text] = await application.post(`/error?client=custom&cmd=${cmd}`, {});

      expect(JSON.parse(text)).toMatchObject([{ error }, true]);
    },
  );
});
