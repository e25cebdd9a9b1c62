import { describe, expect, it } from '@jest/globals';
import { Code, ProtocolError } from '../../src/wire/index.js';

describe('ProtocolError', () => {
  it('is an Error with a name and a code', () => {
    const error = new ProtocolError(Code.FLOW, 'Too much.');

    expect(error).toBeInstanceOf(Error);
    expect(`${error}`).toBe('ProtocolError: Too much.');
    expect(error.code).toBe(Code.FLOW);
  });
});
