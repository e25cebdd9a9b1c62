/** The command cannot do what the user asked for. The command prints the message, one sentence, and exits with code 2. */
export class UsageError extends Error {}
