import { describe, expect, it } from '@jest/globals';
import { InterconnectRecord, InterconnectRecordBuilder } from '../../../src/nest/index.js';
import { isInterconnectRecord } from '../../../src/nest/common/interconnect.record.js';

const bytes = Buffer.from('bytes');

describe('InterconnectRecordBuilder', () => {
  it('builds a record with what was set, and nothing else', () => {
    const plain = new InterconnectRecordBuilder(bytes).build();
    const full = new InterconnectRecordBuilder()
      .setData(bytes)
      .setMetadata({ a: '1' })
      .setTimeout(5000)
      .setOneWay()
      .build();

    expect(plain).toEqual(new InterconnectRecord(bytes));
    expect(full).toMatchObject({ data: bytes, metadata: { a: '1' }, timeout: 5000, oneWay: true });
  });

  it('takes back what was set', () => {
    const record = new InterconnectRecordBuilder(bytes)
      .setOneWay()
      .setIdempotent()
      .setOneWay(false)
      .setIdempotent(false)
      .build();

    expect(record).toMatchObject({ oneWay: false, idempotent: false });
  });

  it('adds metadata, a later value taking the place of an earlier one', () => {
    const { metadata } = new InterconnectRecordBuilder(bytes)
      .setMetadata({ a: '1', b: '2' })
      .setMetadata({ b: '3' })
      .build();

    expect(metadata).toEqual({ a: '1', b: '3' });
  });

  it('builds records that do not change with the builder', () => {
    const builder = new InterconnectRecordBuilder(bytes).setMetadata({ a: '1' });
    const record = builder.build();

    builder.setMetadata({ a: '2' }).setTimeout(1);

    expect(record.metadata).toEqual({ a: '1' });
    expect(record.timeout).toBeUndefined();
  });

  it('refuses metadata that is not text where it is set', () => {
    const offset: unknown = 4096;

    expect(() =>
      new InterconnectRecordBuilder(bytes).setMetadata({ offset } as Record<string, string>),
    ).toThrow('the value of "offset" is a number');
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a timeout of %p', (timeout) => {
    expect(() => new InterconnectRecordBuilder(bytes).setTimeout(timeout)).toThrow(TypeError);
  });
});

describe('isInterconnectRecord', () => {
  it('knows a record by its brand, also one from another copy of the package', () => {
    const foreign = { [Symbol.for('nestjs-interconnect.record')]: true, data: bytes };

    expect(isInterconnectRecord(new InterconnectRecordBuilder(bytes).build())).toBe(true);
    expect(isInterconnectRecord(foreign)).toBe(true);
  });

  it.each([bytes, { data: bytes }, null, undefined, 'text'])(
    'does not take %p for one',
    (value) => {
      expect(isInterconnectRecord(value)).toBe(false);
    },
  );
});
