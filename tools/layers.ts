import { globSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cruise } from 'dependency-cruiser';
import type { ICruiseOptions, ICruiseResult, IFlattenedRuleSet } from 'dependency-cruiser';

/** What one look at the imports of a tree found. Paths are relative to the tree's root. */
export type LayerReport = {
  /** Broken rules, one for each pair of modules and rule. */
  readonly violations: readonly { readonly rule: string; readonly from: string; readonly to: string }[];
  /** Source files under `src/` (and `web/`) that the cruiser did not see; anything but empty means that its verdict is worth nothing. */
  readonly unseen: readonly string[];
  /** How many source files were seen. */
  readonly seenCount: number;
};

const SOURCE_FOLDERS = ['src', 'web'];

const config = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as IFlattenedRuleSet & { options: ICruiseOptions };

/**
 * Applies the rules of `.dependency-cruiser.cjs` to the tree under `rootDir`.
 *
 * The list of files is given to the cruiser one by one and compared with what came back, so that a parser that reads nothing cannot pass.
 */
export async function inspectLayers(rootDir: string): Promise<LayerReport> {
  const files = SOURCE_FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.{ts,tsx}`, { cwd: rootDir, exclude: ['**/node_modules/**'] }));
  const { forbidden } = config;
  const { output } = await cruise(files.length > 0 ? files : ['src'], {
    ...config.options,
    baseDir: rootDir,
    validate: true,
    ruleSet: { forbidden },
  } as ICruiseOptions);
  const result = output as ICruiseResult;
  const seen = new Set(result.modules.map((module) => module.source));
  const unseen = files.map((file) => file.replaceAll('\\', '/')).filter((file) => !seen.has(file));
  const violations = result.summary.violations.map((violation) => ({ rule: violation.rule.name, from: violation.from, to: violation.to }));
  return { violations, unseen, seenCount: files.length - unseen.length };
}
