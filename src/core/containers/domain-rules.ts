import { invalid, type Refusal } from '../access/rules.ts';

/** Where DNS is asked for the proof of a domain, and what it must hold. Source: Tinfoil reference section 4, custom domain. */
export interface DomainProof {
  /** The label before the domain, such as `_tinfoil-challenge`. */
  readonly label: string;
  /** What stands before the nonce in the record. */
  readonly prefix: string;
}

/** What holds where nothing else is declared. */
export const DEFAULT_PROOF: DomainProof = { label: '_tinfoil-challenge', prefix: 'tinfoil-verification=' };

/** Longest domain for which DNS has room for the label of the proof before it. */
const MAX_DOMAIN_LENGTH = 220;
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Names that lead to no host of the internet. Source: RFC 6761, RFC 7686, RFC 8375. */
const SPECIAL = ['localhost', 'local', 'test', 'invalid', 'onion', 'arpa', 'internal'];

const isUnder = (domain: string, parent: string): boolean => domain === parent || domain.endsWith(`.${parent}`);

/** Whether a text has the form of a domain. Nothing else is the name of a record. */
export const isDomain = (text: string): boolean => text.length <= MAX_DOMAIN_LENGTH && DOMAIN.test(text);

/**
 * Refuses what is no domain that somebody may prove: not in lower case, a single label, an address, a wildcard, a dot at its end, letters beyond ASCII that are not
 * written as IDNA has them, a name that is not of the public DNS, or one below `baseDomain`, under which containers have names already: `invalid_request`.
 * `allowed` are names of the first kinds that are taken all the same.
 */
export function checkDomain(
  domain: string,
  of: { readonly baseDomain: string; readonly allowed?: readonly string[] },
  field = 'domain',
): Refusal | null {
  if (!isDomain(domain)) {
    return invalid(
      field,
      `be a domain of at least two labels and at most ${MAX_DOMAIN_LENGTH} characters, in lower-case ASCII, such as api.example.com, without a port, a wildcard or a dot at its end`,
    );
  }
  if (isUnder(domain, of.baseDomain))
    return invalid(field, `not lie below ${of.baseDomain}: its names belong to the containers themselves`);
  const isAllowed = of.allowed?.some((parent) => isUnder(domain, parent)) === true;
  const special = isAllowed ? undefined : SPECIAL.find((name) => isUnder(domain, name));
  return special === undefined ? null : invalid(field, `be a name of the public DNS, which ${special} is not`);
}

/** Where the proof of a domain is looked for. */
export const proofHost = (domain: string, { label }: DomainProof): string => `${label}.${domain}`;

/** What the record there must be, exactly. */
export const proofValue = (nonce: string, { prefix }: DomainProof): string => `${prefix}${nonce}`;

/** The name that a domain should lead to. */
export const cnameTarget = (cnameHash: string, baseDomain: string): string => `${cnameHash}.${baseDomain}`;
