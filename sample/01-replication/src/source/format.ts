/** Formats numbers for people. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** `4.2 MB` */
export function formatBytes(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** unit).toFixed(unit === 0 ? 0 : 1)} ${UNITS[unit] ?? ''}`;
}

/** `5,000` */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Megabytes per second. `0.0` if nothing was sent. */
export function formatRate(bytes: number, seconds: number): string {
  return (seconds > 0 ? bytes / 1e6 / seconds : 0).toFixed(1);
}
