/**
 * Ends a Jest run with a line for programs that read logs: `N passed, N failed`. A suite that cannot run counts as
 * one failed test. Jest prints its own summary after the output of all reporters, so this reporter writes its line
 * when the process exits.
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
