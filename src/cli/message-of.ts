/**
 * Returns the message of any thrown value. The function looks for a property `message`, because `instanceof Error` is
 * false for an error of another realm.
 */
export function messageOf(error: unknown): string {
  const isError = typeof error === 'object' && error !== null && 'message' in error;
  return isError ? String(error.message) : String(error);
}
