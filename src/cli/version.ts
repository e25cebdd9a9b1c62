import { readFile } from 'node:fs/promises';

/** The version of this package, from its manifest. The path is the same from `src` and from `dist`. */
export async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  const manifest: unknown = JSON.parse(text);
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest
      ? manifest.version
      : undefined;
  return String(version);
}
