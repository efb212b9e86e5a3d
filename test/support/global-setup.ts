import { shareClusterData } from './postgres-cluster.ts';

let end = (): void => undefined;

/** What a run of tests makes before its first file. */
export function setup(): void {
  end = shareClusterData();
}

/** Takes it away after the last. */
export function teardown(): void {
  end();
}
