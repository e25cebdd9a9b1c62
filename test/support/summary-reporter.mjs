/**
 * Ends a Jest run with one line of its own, `N passed, N failed`, for machines that read logs.
 * A suite that does not even run counts as one failed. Jest always puts its own summary behind every
 * other reporter's output, so the line waits for the exit of the process.
 */
export default class SummaryReporter {
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests + results.numTodoTests;
    const counts = [`${results.numPassedTests} passed`, `${failed} failed`];
    if (skipped > 0) counts.push(`${skipped} skipped`);
    process.once('exit', () => process.stdout.write(`${counts.join(', ')}\n`));
  }
}
