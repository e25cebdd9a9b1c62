import { describe, expect, it } from '@jest/globals';
import {
  FRAME_RULES,
  FrameView,
  HEADER_LENGTH,
  MAX_ID,
  checkHeader,
  writeHeader,
} from '../../src/wire/index.js';
import { fromHex } from '../support/codec/hex.js';
import { naiveHeaderFault } from '../support/codec/naive-codec.js';
import { refusalOf } from '../support/codec/collect.js';

/** Type, flags, metaLen, bodyLen, session, id. */
type Fields = readonly [number, number, number, number, number, number];

function headerOf([type, flags, metaLength, bodyLength, session, id]: Fields): Buffer {
  const bytes = Buffer.alloc(HEADER_LENGTH);
  writeHeader(bytes, 0, { type, flags, session, id }, metaLength, bodyLength);
  return bytes;
}

function viewOf([type, flags, metaLength, end, session, id]: Fields): FrameView {
  return Object.assign(new FrameView(), { type, flags, metaLength, end, session, id });
}

/** Every type with all the flags, ids and lengths a rule could be about. */
function* allHeaders(): Generator<Fields> {
  const ids = [0, 1, -0x80000000];
  for (const type of [...FRAME_RULES.keys(), 0x00, 0x08, 0x13, 0x26, 0x7f]) {
    for (let flags = 0; flags < 64; flags += 1) {
      for (const session of ids) {
        for (const id of ids) {
          for (const metaLength of [0, 3]) {
            for (const payloadLength of [0, 1, 4, 8, 4095, 4096]) {
              yield [type, flags, metaLength, metaLength + payloadLength, session, id];
            }
          }
        }
      }
    }
  }
}

describe('writeHeader', () => {
  it('writes four big-endian words and nothing beside them [IC-1.1]', () => {
    const bytes = Buffer.alloc(20, 0xaa);

    const header = { type: 0x23, flags: 0x02, session: 0x01020304, id: MAX_ID };
    writeHeader(bytes, 2, header, 0x0102, 0x030405);

    expect(bytes).toEqual(
      fromHex('aa aa  23 02 01 02  00 03 04 05  01 02 03 04  7f ff ff ff  aa aa'),
    );
  });
});

describe('checkHeader', () => {
  it('judges every type as the naive codec does, with whatever flags, ids and lengths [IC-6.1]', () => {
    const disagreements: Fields[] = [];
    for (const fields of allHeaders()) {
      const fault = naiveHeaderFault(headerOf(fields), 65_536, 8192);
      if (refusalOf(() => checkHeader(viewOf(fields)))?.code !== fault) disagreements.push(fields);
    }

    expect(disagreements).toEqual([]);
  });

  it.each<[Fields, string]>([
    [[0x7f, 0, 0, 0, 0, 0], 'Frame type 0x7f is unknown.'],
    [[0x20, 0x80, 0, 0, 1, 1], 'SEND has reserved flags set: 0x80.'],
    [[0x20, 0x02, 0, 0, 1, 1], 'SEND has flags it does not take: 0x02.'],
    [[0x24, 0x00, 0, 0, 1, 1], 'REJECT lacks a flag it needs: 0x00.'],
    [[0x20, 0, 0, 0, -1, 1], 'SEND has a top bit set: session 4294967295, id 1.'],
    [[0x20, 0, 0, 0, 0, 1], 'SEND needs a session; it has 0.'],
    [[0x10, 0, 0, 0, 1, 5], 'OPEN takes no id; it has 5.'],
    [[0x21, 0, 3, 4, 1, 1], 'FRAG has 3 octets of meta; it takes none.'],
    [[0x25, 0, 0, 4, 1, 1], 'CANCEL has 4 octets of payload; it takes none.'],
    [[0x20, 1, 7, 4102, 1, 1], 'SEND with MORE has 4095 octets of payload, fewer than 4096.'],
    [[0x20, 0x0c, 0, 0, 1, 1], 'SEND has both ONEWAY and STREAM.'],
    [[0x22, 0x12, 0, 0, 1, 1], 'ITEM has both REPLY and END.'],
    [[0x21, 0, 0, 0, 1, 1], 'FRAG is empty.'],
    [[0x05, 2, 0, 8, 1, 0], 'CREDIT has REPLY without a message: session 1, id 0.'],
    [[0x05, 0, 0, 5, 0, 1], 'CREDIT has 5 octets of payload instead of 8.'],
  ])('says of %j: %s', (fields, sentence) => {
    expect(refusalOf(() => checkHeader(viewOf(fields)))?.message).toBe(sentence);
  });
});
