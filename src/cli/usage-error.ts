/** What was asked for cannot be done: one sentence for the user, and exit code 2. */
export class UsageError extends Error {}
