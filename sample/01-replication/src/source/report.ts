/** Counts the work that was done. */
import { Injectable } from '@nestjs/common';
import Table from 'cli-table3';
import { formatCount, formatRate } from './format.js';

@Injectable()
export class Report {
  files = 0;
  directories = 0;
  links = 0;
  /** Bytes of the files that arrived. */
  bytes = 0;
  seconds = 0;
  /** Files that the replica already had. */
  unchanged = 0;
  /** Attempts that the replica rejected. */
  rejected = 0;
  /** Further attempts, after a rejection or because a file changed while it was read. */
  retried = 0;
  /** Entries that did not arrive. */
  failed = 0;
  /** Pipes, sockets and devices. */
  skipped = 0;
  /** Entries removed from the target because the source does not have them (`--delete`). */
  deleted = 0;

  toTable(): string {
    const table = new Table({ colAligns: ['left', 'right'], style: { compact: true, border: [] } });
    const { seconds, bytes, ...counts } = this;
    table.push(
      ['files', formatCount(counts.files)],
      ['directories', formatCount(counts.directories)],
      ['links', formatCount(counts.links)],
      ['bytes sent', formatCount(bytes)],
      ['seconds', seconds.toFixed(2)],
      ['MB/s', formatRate(bytes, seconds)],
      ['unchanged', formatCount(counts.unchanged)],
      ['rejected', formatCount(counts.rejected)],
      ['retried', formatCount(counts.retried)],
      ['failed', formatCount(counts.failed)],
    );
    if (counts.skipped > 0) table.push(['skipped', formatCount(counts.skipped)]);
    if (counts.deleted > 0) table.push(['deleted', formatCount(counts.deleted)]);
    return table.toString();
  }
}
