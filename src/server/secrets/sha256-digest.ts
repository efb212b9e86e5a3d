import { createHash } from 'node:crypto';
import type { Digest } from '../../ports/digest.ts';

/** The {@link Digest} of the system's library. */
export const sha256Digest: Digest = (text) => createHash('sha256').update(text, 'utf8').digest('hex');
