import type { TSchema } from 'typebox';
import { GOVERNANCE_OPERATIONS } from '../../src/api/cycles-governance/operations.ts';
import { GovernanceError } from '../../src/api/cycles-governance/schemas/common.ts';
import { EVENT_DATA } from '../../src/api/cycles-governance/schemas/event-data.ts';
import { RUNTIME_OPERATIONS } from '../../src/api/cycles-runtime/operations.ts';
import { RuntimeError } from '../../src/api/cycles-runtime/schemas.ts';
import type { DescribedPlane } from './described.ts';

/** A plane of the Cycles protocol, and the published document that it is compared with. */
export interface ComparedPlane extends DescribedPlane {
  readonly name: string;
  readonly file: string;
  /** Schemas of ours for components that no operation refers to. */
  readonly unreferred: readonly TSchema[];
}

/** Errors that any route may answer with before it is reached, or because of us. */
const ALWAYS = [413, 415, 421, 429, 500, 503];

/** The two planes that this program serves. */
export const PLANES: readonly ComparedPlane[] = [
  {
    name: 'runtime',
    file: 'cycles-protocol-v0.yaml',
    operations: RUNTIME_OPERATIONS,
    security: ['tenantKey'],
    error: RuntimeError,
    always: ALWAYS,
    unreferred: [],
  },
  {
    name: 'governance',
    file: 'cycles-governance-admin-v0.1.25.yaml',
    operations: GOVERNANCE_OPERATIONS,
    security: ['operatorKey'],
    error: GovernanceError,
    always: ALWAYS,
    unreferred: [...new Set(Object.values(EVENT_DATA))],
  },
];
