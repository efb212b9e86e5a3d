import type { Ask } from './management-steps.ts';
