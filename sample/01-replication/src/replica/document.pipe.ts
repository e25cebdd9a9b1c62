/**
 * From bytes to a document: a message is refused before it reaches a handler if it is not the JSON
 * the session expects. Each field is named with its kind; fields nobody asked for are left out.
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

/** A count in the metadata of a message, where everything is text. */
export function parseCount(name: string, text: string | undefined): number {
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw malformed(`"${name}" is not a count`);
  return Number(text);
}

function parseObject(data: Buffer): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(data.toString());
    if (typeof value === 'object' && value !== null) return new Map(Object.entries(value));
  } catch {
    // not JSON at all: said below
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
