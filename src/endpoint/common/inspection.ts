/** Keeps secrets out of `console.log` and `util.inspect`. */
import { inspect } from 'node:util';

/**
 * @internal Lets inspection show `text` instead of the object. For objects of Node that hold private keys, passphrases or
 * other secrets in visible fields. An object of this library keeps its secrets in private fields instead.
 */
export function conceal(target: object, text: string): void {
  Object.defineProperty(target, inspect.custom, { configurable: true, value: () => text });
}
