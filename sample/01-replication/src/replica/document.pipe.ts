/**
 * Turns the bytes of a message into a document. The pipe rejects a message that is not the JSON
 * document of its session, before a handler runs. A schema names each field and its kind. Other
 * fields are dropped.
 */
import type { PipeTransform } from '@nestjs/common';
import { InterconnectException } from 'nestjs-interconnect';
import { Reject } from '../shared/messages.js';

type Kind = 'text' | 'count';

export class DocumentPipe implements PipeTransform<Buffer, object> {
  constructor(private readonly fields: Readonly<Record<string, Kind>>) {}

  transform(data: Buffer): object {
    const document = parseObject(data);
    return Object.fromEntries(
      Object.entries(this.fields).map(([field, kind]) => {
        const value = document.get(field);
        if (!isOfKind(value, kind)) throw malformed(`"${field}" is not a ${kind}`);
        return [field, value];
      }),
    );
  }
}

/** A count in the metadata of a message. Each metadata value is text. */
export function parseCount(name: string, text: string | undefined): number {
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw malformed(`"${name}" is not a count`);
  return Number(text);
}

function parseObject(data: Buffer): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(data.toString());
    if (typeof value === 'object' && value !== null) return new Map(Object.entries(value));
  } catch {
    // the text is not JSON: the error below says so
  }
  throw malformed('it is not a JSON object');
}

function isOfKind(value: unknown, kind: Kind): boolean {
  if (kind === 'text') return typeof value === 'string';
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function malformed(why: string): InterconnectException {
  return new InterconnectException(Reject.Malformed, `the message is malformed: ${why}`);
}
