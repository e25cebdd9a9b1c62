/** The transcripts of the peers in the running test. `transcript-environment.mjs` prints them if the test fails. */
const shared = globalThis as { transcripts?: (() => string)[] };

/** Registers a transcript. `transcript` is called only after a failure. */
export function keepTranscript(transcript: () => string): void {
  (shared.transcripts ??= []).push(transcript);
}
