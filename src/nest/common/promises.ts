/** Looks at the shape, because a promise of another realm or library is not `instanceof Promise`. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
