/**
 * Faults that are known and not mended yet: the programs that show them. The campaign runs these programs, and reports
 * them as open: they count neither as passed nor as failed.
 */
export const OPEN: Readonly<Record<string, string>> = {};
