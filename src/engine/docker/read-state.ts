import type { ContainerInfo, ContainerInspectInfo } from 'dockerode';
import type { OwnedUnit, UnitHealth, UnitRunState, UnitState } from '../../ports/container-engine.ts';
import { tellStartFailure } from './engine-faults.ts';
import { LABELS, readOwner } from './labels.ts';

const RUN_STATES: readonly string[] = ['created', 'running', 'restarting', 'paused', 'removing', 'exited', 'dead'] satisfies UnitRunState[];
const HEALTHS: readonly string[] = ['none', 'starting', 'healthy', 'unhealthy'] satisfies UnitHealth[];
const MAX_HEALTH_OUTPUT = 500;

/** A word that we do not know is read as the state from which nothing follows by itself. */
const runState = (word: string): UnitRunState => (RUN_STATES.includes(word) ? (word as UnitRunState) : 'dead');
const healthOf = (word: string | undefined): UnitHealth => (word !== undefined && HEALTHS.includes(word) ? (word as UnitHealth) : 'none');

/** Before the first start an engine says year 1. */
function startedAt(text: string): number | null {
  const atMs = Date.parse(text);
  return Number.isFinite(atMs) && atMs > 0 ? atMs : null;
}

function publishedPort(inspected: ContainerInspectInfo): number | null {
  const shimPort = inspected.Config.Labels[LABELS.shimPort];
  if (shimPort === undefined || !inspected.State.Running) return null;
  const ports = inspected.NetworkSettings.Ports as Record<string, { HostPort: string }[] | null> | null;
  const port = Number(ports?.[`${shimPort}/tcp`]?.[0]?.HostPort);
  return Number.isInteger(port) && port > 0 ? port : null;
}

/** A unit as an inspection tells of it. */
export function readUnitState(inspected: ContainerInspectInfo): UnitState {
  const { State: state } = inspected;
  const checks = state.Health?.Log ?? [];
  return {
    id: inspected.Id,
    state: runState(state.Status),
    health: healthOf(state.Health?.Status),
    exitCode: state.ExitCode,
    oomKilled: state.OOMKilled,
    error: tellStartFailure(state.Error),
    healthOutput: (checks.at(-1)?.Output ?? '').trim().slice(0, MAX_HEALTH_OUTPUT),
    publishedPort: publishedPort(inspected),
    startedAtMs: startedAt(state.StartedAt),
    restarts: inspected.RestartCount,
  };
}

/** A listing has the health inside of its text for people only: `Up 3 minutes (healthy)`, `(health: starting)`. */
function listedHealth(status: string): UnitHealth {
  const word = /\((?:health: )?(starting|healthy|unhealthy)\)/.exec(status)?.[1];
  return healthOf(word);
}

/** A unit as a listing tells of it. */
export function readListedUnit(listed: ContainerInfo): OwnedUnit {
  const shimPort = Number(listed.Labels[LABELS.shimPort]);
  const published = listed.Ports.find((port) => port.PrivatePort === shimPort && port.Type === 'tcp' && port.PublicPort > 0);
  return {
    id: listed.Id,
    name: (listed.Names[0] ?? '').replace(/^\//, ''),
    unit: listed.Labels[LABELS.unit] ?? '',
    owner: readOwner(listed.Labels),
    state: runState(listed.State),
    health: listedHealth(listed.Status),
    publishedPort: published?.PublicPort ?? null,
    image: listed.Labels[LABELS.image] ?? null,
    allottedGpus: (listed.Labels[LABELS.gpus] ?? '').split(',').filter((device) => device !== ''),
  };
}
