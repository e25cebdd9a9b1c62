import { describe, expect, it } from '@jest/globals';
import { Code, PrefaceDecoder, encodePreface } from '../../src/wire/index.js';
import { fromHex } from '../support/codec/hex.js';
import { inChunks, refusalOf } from '../support/codec/collect.js';

const preface = fromHex('f1 49 4e 54 43 0d 0a 01');

function push(...chunks: Buffer[]): PrefaceDecoder {
  const decoder = new PrefaceDecoder();
  for (const chunk of chunks) decoder.push(chunk);
  return decoder;
}

describe('encodePreface', () => {
  it('gives the golden preface [IC-3.1]', () => {
    expect(encodePreface()).toEqual(preface);
  });

  it('takes another version', () => {
    expect(encodePreface(255)).toEqual(fromHex('f1 49 4e 54 43 0d 0a ff'));
  });
});

describe('PrefaceDecoder', () => {
  it('takes the preface and leaves what follows it', () => {
    const decoder = new PrefaceDecoder();

    const consumed = decoder.push(Buffer.concat([preface, preface]));

    expect(consumed).toBe(8);
    expect(decoder.version).toBe(1);
  });

  it('has no version until the last octet is there', () => {
    const decoder = push(preface.subarray(0, 7));

    expect(decoder.version).toBeUndefined();
    expect(decoder.push(preface.subarray(7))).toBe(1);
    expect(decoder.version).toBe(1);
  });

  it('takes the preface octet by octet', () => {
    expect(push(...inChunks(preface, 1)).version).toBe(1);
  });

  it('takes nothing after the preface', () => {
    expect(push(preface).push(preface)).toBe(0);
  });

  it.each([
    [0, 'M5'],
    [255, 'M6'],
  ])('leaves it to others to judge version %d (%s)', (version) => {
    expect(push(encodePreface(version)).version).toBe(version);
  });

  it.each([
    ['16 03 01 02 00 01', 'a TLS client', 'M2'],
    ['16 03', 'a TLS client', 'M2'],
    [Buffer.from('GET / HTTP/1.1\r\n').toString('hex'), 'an HTTP client', 'M1'],
    [Buffer.from('DELETE /').toString('hex'), 'an HTTP client', 'M1'],
    [
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').toString('hex'),
      'an HTTP/2 or gRPC client',
      'M1',
    ],
    [Buffer.from('HTTP/1.1 400 Bad Request').toString('hex'), 'an HTTP server', 'M1'],
    [Buffer.from('SSH-2.0-OpenSSH_9.6').toString('hex'), 'an SSH peer', 'M1'],
    [Buffer.from('AMQP\x00\x01\x00\x00').toString('hex'), 'an AMQP peer', 'M1'],
  ])('recognises %s as %s (%s)', (hex, who) => {
    const bytes = fromHex(hex);
    const sentence = `Octet 0 of the preface is 0x${hex.slice(0, 2)} instead of 0xf1. This looks like ${who}.`;

    expect(refusalOf(() => push(bytes))).toEqual({ code: Code.PROTOCOL, message: sentence });
  });

  it('recognises TLS and SSH by their first octet', () => {
    expect(refusalOf(() => push(fromHex('16')))?.message).toContain('TLS');
    expect(refusalOf(() => push(Buffer.from('S')))?.message).toContain('SSH');
  });

  it('guesses nothing about others (M1)', () => {
    expect(refusalOf(() => push(fromHex('de ad be ef')))?.message).toBe(
      'Octet 0 of the preface is 0xde instead of 0xf1.',
    );
  });

  it('refuses a preface whose CR was lost on the way (M3)', () => {
    expect(refusalOf(() => push(fromHex('f1 49 4e 54 43 0a 01')))).toEqual({
      code: Code.PROTOCOL,
      message: 'Octet 5 of the preface is 0x0a instead of 0x0d.',
    });
  });

  it.each([0, 1, 2, 3, 4, 5, 6])('refuses a wrong octet %d as soon as it is there', (position) => {
    const wrong = Buffer.from(preface);
    wrong[position]! ^= 0x80;
    const decoder = push(...inChunks(wrong.subarray(0, position), 1));

    const refusal = refusalOf(() => decoder.push(wrong.subarray(position, position + 1)));

    expect(refusal?.code).toBe(Code.PROTOCOL);
  });
});
