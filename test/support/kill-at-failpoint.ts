import { existsSync } from 'node:fs';
import type { Failpoints } from '../../src/ports/failpoints.ts';

/**
 * Where the process is to die. `point` is a name of the port, `hit` counts from 1. Hits are counted from the start, or, with
 * `armFile`, from the moment that file exists: a boot passes many points, and a test may want the load to die and not the boot.
 */
export interface KillPlan {
  readonly point: string;
  readonly hit: number;
  readonly armFile: string | null;
}

/** The variables by which a test tells a child process its plan. The server itself reads none of them. */
export const KILL_VARIABLES = { point: 'TEST_KILL_POINT', hit: 'TEST_KILL_HIT', armFile: 'TEST_KILL_ARM_FILE' } as const;

/** The plan as variables of a child's environment. */
export function killEnvironment(plan: KillPlan): Record<string, string> {
  const { point, hit, armFile } = plan;
  return {
    [KILL_VARIABLES.point]: point,
    [KILL_VARIABLES.hit]: String(hit),
    ...(armFile === null ? {} : { [KILL_VARIABLES.armFile]: armFile }),
  };
}

function planFrom(env: NodeJS.ProcessEnv): KillPlan | null {
  const point = env[KILL_VARIABLES.point];
  if (point === undefined) return null;
  return { point, hit: Number(env[KILL_VARIABLES.hit] ?? 1), armFile: env[KILL_VARIABLES.armFile] ?? null };
}

/** Failpoints that end the process by SIGKILL, as a loss of power would, at the planned hit. */
export function makeKillingFailpoints(plan: KillPlan | null): Failpoints {
  let hits = 0;
  return {
    hit: (point) => {
      if (plan === null || point !== plan.point) return;
      if (plan.armFile !== null && hits === 0 && !existsSync(plan.armFile)) return;
      hits += 1;
      if (hits >= plan.hit) process.kill(process.pid, 'SIGKILL');
    },
  };
}

/** What a writer's thread loads as its failpoints: each thread counts its own hits. */
export const failpoints: Failpoints = makeKillingFailpoints(planFrom(process.env));
