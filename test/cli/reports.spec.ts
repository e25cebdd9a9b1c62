/** Results as JSON and as JUnit XML. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { CaseResult } from '../../src/cli/conformance/runner.js';
import { toJson } from '../../src/cli/conformance/reports/json.js';
import { toJunit } from '../../src/cli/conformance/reports/junit.js';
import { TextReport } from '../../src/cli/conformance/reports/text.js';
import { FrameType } from '../../src/wire/index.js';
import { afterTest } from '../support/after-test.js';
import { INVISIBLE } from '../support/words.js';
import { addressText, ourListener, run } from '../support/cli/command.js';
import { tampering } from '../support/cli/tampering-proxy.js';

const hostile: CaseResult = {
  case: {
    id: 'close/hostile',
    clauses: ['1.2'],
    sentence: 'a <TEXT> with "quotes" & more',
    run: () => Promise.resolve(),
  },
  outcome: 'failed',
  expected: 'CLOSE(META)',
  actual: 'CLOSE text="\u001b[2J\u202e<&>"',
  milliseconds: 1234,
};

describe('Results', () => {
  it('are one JSON document, and nothing else', async () => {
    const tamper = (frame: Buffer): Buffer[] => (frame[0] === FrameType.CLOSE ? [] : [frame]);
    const address = await tampering(await ourListener(), { tamper });

    const names = ['M24', 'keepalive/pong', 'handshake/alpn'].flatMap((name) => ['--case', name]);
    const { code, out } = await run('conformance', address, '--json', ...names);

    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      role: 'listener',
      passed: 1,
      failed: 1,
      skipped: 1,
      cases: [
        {
          id: 'handshake/alpn',
          group: 'handshake',
          sentence: expect.any(String),
          clauses: ['IC-2.2'],
          outcome: 'skipped',
          reason: 'the port is a plaintext one: there is no ALPN',
          milliseconds: expect.any(Number),
        },
        {
          id: 'keepalive/pong',
          group: 'keepalive',
          sentence: 'PING: PONG with the same token, 0 and 2^31 - 1 included',
          clauses: ['IC-6.10'],
          outcome: 'passed',
          milliseconds: expect.any(Number),
        },
        {
          id: 'malformed/M24',
          group: 'malformed',
          sentence: 'metaLen above bodyLen: CLOSE(META)',
          clauses: ['IC-1.2', 'IC-4.1', 'IC-4.2'],
          outcome: 'failed',
          expected: 'CLOSE(META)',
          actual: expect.stringContaining('the stream ended'),
          milliseconds: expect.any(Number),
        },
      ],
    });
  });

  it('list as JSON what there is', async () => {
    const { out } = await run('conformance', '--list', '--json', '--case', 'M24', '--listen', '0');

    expect(JSON.parse(out)).toEqual({
      version: expect.any(String),
      role: 'dialer',
      cases: [
        {
          id: 'malformed/M24',
          group: 'malformed',
          sentence: 'metaLen above bodyLen: CLOSE(META)',
          clauses: ['IC-1.2', 'IC-4.1', 'IC-4.2'],
        },
      ],
    });
  });

  it('are JUnit XML beside the text', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'interconnect-'));
    afterTest(() => rm(folder, { recursive: true }));
    const file = join(folder, 'junit.xml');
    const address = addressText(await ourListener());

    const names = ['--case', 'M24', '--case', 'handshake/alpn'];
    const { code, out } = await run('conformance', address, '--junit', file, ...names);

    expect(code).toBe(0);
    expect(out).toMatch(/\n1 passed, 0 failed, 1 skipped\n$/);
    const xml = (await readFile(file, 'utf8')).replaceAll(/time="[\d.]+"/g, 'time="T"');
    expect(xml.split('\n')).toEqual([
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<testsuites name="interconnect conformance" tests="2" failures="0" skipped="1" time="T">',
      '  <testsuite name="handshake" tests="1" failures="0" skipped="1" time="T">',
      '    <testcase classname="handshake" name="handshake/alpn: on TLS, a listener selects intc/1 ' +
        'by ALPN" time="T"><skipped message="the port is a plaintext one: there is no ALPN"/></testcase>',
      '  </testsuite>',
      '  <testsuite name="malformed" tests="1" failures="0" skipped="0" time="T">',
      '    <testcase classname="malformed" name="malformed/M24: metaLen above bodyLen: CLOSE(META)" time="T"/>',
      '  </testsuite>',
      '</testsuites>',
      '',
    ]);
  });

  it('escape what the other side says', () => {
    const lines: string[] = [];
    new TextReport((line) => lines.push(line)).onResult(hostile);

    expect(lines.at(-1)).toBe('      actual:   CLOSE text="\\u001b[2J\\u202e<&>"');
    expect(toJunit([hostile])).toContain(
      '<testcase classname="close" name="close/hostile: a &lt;TEXT&gt; with &quot;quotes&quot; &amp; more" ' +
        'time="1.234"><failure message="expected CLOSE(META); actual: CLOSE text=&quot;\\u001b[2J\\u202e&lt;&amp;&gt;&quot;">' +
        'IC-1.2</failure></testcase>',
    );
    const json = toJson([hostile], 'listener', '1.0.0');
    expect(JSON.parse(json)).toMatchObject({
      cases: [{ actual: 'CLOSE text="\\u001b[2J\\u202e<&>"' }],
    });
    for (const line of json.split('\n')) expect(line).not.toMatch(INVISIBLE);
  });
});
