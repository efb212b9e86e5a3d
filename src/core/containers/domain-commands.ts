import type { CommandBase } from '../verb.ts';
import type { Domain } from './domain-records.ts';

/** Adds a domain, which is not verified yet. */
export interface CreateDomainCommand extends CommandBase, Pick<Domain, 'domainId' | 'domain' | 'nonce' | 'cnameHash'> {
  readonly verb: 'create-domain';
}

/** Deletes a domain. */
export interface DeleteDomainCommand extends CommandBase {
  readonly verb: 'delete-domain';
  readonly domain: string;
}

/** Takes the claim to a domain for a tenant that has proved it by `nonce`. `seenHolder` is who had it when that was looked at. The command is the server's. */
export interface ClaimDomainCommand extends CommandBase {
  readonly verb: 'claim-domain';
  readonly domain: string;
  readonly claimantId: string;
  readonly nonce: string;
  readonly seenHolder: string | null;
}

/** Notes what DNS told of a domain. A verified one whose proof is missing is lost after `lostAfterMs`. */
export interface NoteDomainCheckCommand extends CommandBase {
  readonly verb: 'note-domain-check';
  readonly domain: string;
  readonly nonce: string;
  readonly isProved: boolean;
  readonly lostAfterMs: number;
}

/** Every command about domains. */
export type DomainCommand = CreateDomainCommand | DeleteDomainCommand | ClaimDomainCommand | NoteDomainCheckCommand;
