import { readFileSync } from 'node:fs';
import os from 'node:os';

/** What a result was measured on: enough to compare two results, nothing that names the machine. */
export function describeMachine(): Record<string, string> {
  const cpu = os.cpus()[0]?.model.trim() ?? 'unknown';
  const memory = `${Math.round(os.totalmem() / 2 ** 30)} GiB`;
  const system = readOsName();
  return { cpu, cores: `${os.cpus().length}, shared with the load generator`, memory, system, kernel: os.release(), node: process.version };
}

function readOsName(): string {
  try {
    return /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? os.type();
  } catch {
    return os.type();
  }
}
