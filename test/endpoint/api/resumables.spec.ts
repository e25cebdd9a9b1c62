import { createHash } from 'node:crypto';
import * as crypto from 'node:crypto';
import { describe, expect, it, jest } from '@jest/globals';
import type { Connection } from 'nestjs-interconnect/core';

const compared: [Buffer, Buffer][] = [];
jest.unstable_mockModule('node:crypto', () => ({
  ...crypto,
  timingSafeEqual: (one: Buffer, other: Buffer) => {
    compared.push([one, other]);
    return crypto.timingSafeEqual(one, other);
  },
}));
const { Resumables } = await import('../../../src/endpoint/api/resumables.js');

const token = createHash('sha256').update('token').digest();
const connection = { isOver: false } as Connection;

describe('The tokens of a listener', () => {
  it('are compared in a time that does not tell how much is right [IC-17.19]', () => {
    const resumables = new Resumables();
    resumables.add(connection, token, 'me');
    const wrong = Buffer.from(token);
    wrong[31]! ^= 1;

    const found = [token, wrong].map((each) => resumables.find(Buffer.from(each), 'me'));

    expect(found).toEqual([connection, undefined]);
    expect(compared.map(([one, other]) => [one.length, other.length])).toEqual([
      [32, 32],
      [32, 32],
    ]);
  });

  it('are those of connections that have not ended, and of one principal [IC-17.18]', () => {
    const resumables = new Resumables();
    const over = { isOver: true } as Connection;
    const other = Buffer.alloc(32, 1);
    resumables.add(connection, token, 'me');
    resumables.add(over, other, 'me');

    expect(resumables.find(token, 'you')).toBeUndefined();
    expect(resumables.find(other, 'me')).toBeUndefined();
    resumables.delete(token);
    expect(resumables.find(token, 'me')).toBeUndefined();
  });
});
