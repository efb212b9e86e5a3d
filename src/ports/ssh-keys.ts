import type { ParsedSshKey, SshKeyLine } from '../core/containers/ssh-key-rules.ts';

/** Reads the bytes of a public key; null where they are none of a type that is taken. */
export type ParseSshKey = (line: SshKeyLine) => Promise<ParsedSshKey | null>;
