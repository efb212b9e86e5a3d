import { shareClusterData } from './postgres-cluster.ts';

/** What a run of tests makes before its first file. Returns what takes it away after the last. */
export default function setup(): () => void {
  return shareClusterData();
}
