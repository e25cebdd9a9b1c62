/**
 * Whether a life also demands that `executed` is `'no'` wherever no octet has left, and that nothing leaves that was
 * given up before. The sources do not keep that yet.
 */
export const strictness = { isStrict: process.env['SIM_STRICT'] !== undefined };
