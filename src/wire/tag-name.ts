import { Tag } from './constants.js';

const NAMES = new Map<number, string>(Object.entries(Tag).map(([name, tag]) => [tag, name]));

/** `DEADLINE`, or `0x8a` for a tag without a name. */
export function tagName(tag: number): string {
  return NAMES.get(tag) ?? `0x${tag.toString(16).padStart(2, '0')}`;
}
