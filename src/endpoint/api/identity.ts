/**
 * Takes the name of a dialer from its certificate. Only one clear value counts as a name. Otherwise a certificate with two
 * common names, or with an escape sequence in a name, could pass for somebody else.
 */
import type { PeerCertificate } from 'node:tls';
import { printable } from '../../wire/index.js';
import { optionError } from '../common/errors.js';
import type { Peer } from '../common/peer.js';
import { inspectShort } from '../common/words.js';

/**
 * Names the part of a dialer's certificate that is its principal. `'uri'` and `'dns'`: the only alternative name of this
 * kind (`subjectAltName`). `'cn'`: the only common name of the subject. A function gets the certificate and returns the
 * name. In each case, the name must have 1 to 256 characters. It must not contain invisible characters, quotation marks
 * or backslashes, and must not begin or end with a space.
 */
export type Identify = 'uri' | 'dns' | 'cn' | ((certificate: PeerCertificate) => string);

/** @internal The name, or the reason why there is none: a text that continues a sentence after "The certificate". */
export type Identity =
  | { readonly name: string; readonly fault?: undefined }
  | { readonly name?: undefined; readonly fault: string };

/** @internal @throws IC_ERR_OPTION */
export function checkIdentify(identify: unknown, asksForCertificates: boolean): void {
  const isKnown = identify === 'uri' || identify === 'dns' || identify === 'cn';
  if (!isKnown && typeof identify !== 'function') {
    throw optionError(
      `identify must be 'uri', 'dns', 'cn' or a function, and is ${inspectShort(identify)}.`,
    );
  }
  if (asksForCertificates) return;
  throw optionError('identify needs tls.requestCert: without it, dialers show no certificate.');
}

/** @internal The name of a verified certificate. If a function of the application throws, this function throws its error. */
export function identityOfPeer({ certificate, authorized }: Peer, identify: Identify): Identity {
  if (certificate === undefined || !authorized) return { fault: 'is missing or not verified' };
  if (typeof identify === 'function') return clear([identify(certificate)], 'chosen name');
  if (identify === 'cn') return commonNameOf(certificate);
  const names = alternativeNamesOf(certificate, identify === 'uri' ? 'URI' : 'DNS');
  return clear(names, `alternative name of the kind ${identify.toUpperCase()}`);
}

/** @internal The common name of a certificate. */
export function commonNameOf(certificate: PeerCertificate): Identity {
  // Node gives a list if the certificate has several common names.
  const value = certificate.subject.CN;
  return clear(value === undefined ? [] : [value].flat(), 'common name');
}

/** Returns the values as they stand in Node's text. Node quotes each value that contains a separator or a control. */
function alternativeNamesOf(certificate: PeerCertificate, kind: 'URI' | 'DNS'): string[] {
  const text = certificate.subjectaltname ?? '';
  const names: string[] = [];
  let read = 0;
  for (const [whole, type, value] of text.matchAll(ALTERNATIVE_NAME)) {
    read += whole.length;
    if (type === kind && value !== undefined) names.push(value);
  }
  // A part that this side cannot read may hold another name.
  return read === text.length ? names : [];
}

function clear(values: readonly unknown[], what: string): Identity {
  const [name] = values;
  if (values.length !== 1) return { fault: `has ${values.length} values as ${what}, not one` };
  const isClear =
    typeof name === 'string' &&
    name.length > 0 &&
    name.length <= MAX_NAME &&
    name.trim() === name &&
    !UNCLEAR.test(name) &&
    printable(name, MAX_NAME) === name;
  if (isClear) return { name };
  return { fault: `has a ${what} that is not one clear name: ${inspectShort(name)}` };
}

/** Characters. */
const MAX_NAME = 256;
/** The marks of an escaped or quoted value, and the character that replaces octets that are not UTF-8. */
const UNCLEAR = /["\\\u{fffd}]/u;
/** One alternative name: its kind, and its value, which may be quoted. */
const ALTERNATIVE_NAME = /(?:^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?=, |$)/gu;
