/** By its shape: a promise of another realm, or another library's, is no `instanceof Promise`. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
