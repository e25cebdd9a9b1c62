/**
 * Jest's environment for Node. If a test fails, the environment prints the frames that its peers have written.
 * `SimPair` and `SimPeer` register a transcript each (`transcripts.ts`). The text is built only after a failure.
 */
import { TestEnvironment } from 'jest-environment-node';

export default class TranscriptEnvironment extends TestEnvironment {
  handleTestEvent(event) {
    const { transcripts } = this.global;
    if (transcripts === undefined) return;
    if (event.name === 'test_start') transcripts.length = 0;
    if (event.name !== 'test_fn_failure') return;
    for (const transcript of transcripts) {
      process.stderr.write(`\nTranscript of "${event.test.name}":\n${transcript()}\n`);
    }
  }
}
