/** What the peers of the running test have written, for `transcript-environment.mjs` to print if the test fails. */
const shared = globalThis as { transcripts?: (() => string)[] };

/** `transcript` is called only after a failure. */
export function keepTranscript(transcript: () => string): void {
  (shared.transcripts ??= []).push(transcript);
}
