/** The part of package-lock.json that is read here. Keys of `packages` are folders, `node_modules/<name>` for most. */
export type Lockfile = { readonly packages: Readonly<Record<string, LockEntry>> };

type LockEntry = {
  readonly version?: string;
  readonly optional?: boolean;
  readonly dev?: boolean;
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
  readonly libc?: readonly string[];
  readonly license?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
};

/**
 * The entries that the lockfile lacks for optional dependencies of packages it has, by key.
 *
 * npm writes no entry for an optional package that it could not find in the registry it asked, and later refuses the lockfile as out of date.
 * A native binary's platform stands in its name (`@scope/core-linux-x64-musl`), its version is the exact one that its owner asks for.
 * Throws where a missing package is none of that kind.
 */
export function missingPlatformPackages(lockfile: Lockfile): Record<string, LockEntry> {
  const missing: Record<string, LockEntry> = {};
  for (const [folder, owner] of Object.entries(lockfile.packages)) {
    for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
      const nested = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
      const hoisted = `node_modules/${name}`;
      if (nested in lockfile.packages || hoisted in lockfile.packages) continue;
      const platform = platformOf(name);
      if (platform === undefined || !/^\d+\.\d+\.\d+$/.test(version))
        throw new Error(`${name}@${version}, wanted by ${folder}, cannot be completed`);
      missing[hoisted] = { version, ...platform, ...(owner.dev === true ? { dev: true } : {}), optional: true };
    }
  }
  return missing;
}

const PLATFORM =
  /(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|x64|ia32|ppc64|riscv64|s390x)(?:-(gnu|musl|gnueabihf|musleabihf|eabi|msvc))?$/;

function platformOf(name: string): Pick<LockEntry, 'os' | 'cpu' | 'libc'> | undefined {
  const [, os, cpu, abi = ''] = PLATFORM.exec(name) ?? [];
  if (os === undefined || cpu === undefined) return undefined;
  const libc = abi.startsWith('gnu') ? ['glibc'] : abi.startsWith('musl') ? ['musl'] : undefined;
  return { os: [os], cpu: [cpu], ...(libc ? { libc } : {}) };
}
