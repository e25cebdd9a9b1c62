/** The command cannot do what the user asked for. The user sees one sentence, and the exit code is 2. */
export class UsageError extends Error {}
