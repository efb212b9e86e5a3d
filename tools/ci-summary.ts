import { existsSync, readFileSync } from 'node:fs';

/** Reads the JSON report that the tests wrote and prints two numbers, passed and failed, for `.ci/run` to add up. */
const [path = ''] = process.argv.slice(2);

type Report = {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
};

let passed = 0;
let failed = 0;
// A runner that broke down leaves no report, or an empty one: then nothing passed, and its exit code tells the rest.
const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
if (text !== '') {
  const report = JSON.parse(text) as Report;
  for (const file of report.testResults) {
    const tests = file.assertionResults;
    const good = tests.filter((test) => test.status === 'passed').length;
    passed += good;
    failed += tests.length - good;
    // Nothing may be skipped here, so what did not run counts as a failure and is named.
    for (const test of tests.filter(({ status }) => status !== 'passed' && status !== 'failed')) {
      console.error(`did not run (${test.status}): ${test.fullName}`);
    }
    // A file that failed as a whole, on an import or in a hook, has no failed test of its own to count.
    if (file.status === 'failed' && good === tests.length) {
      console.error(`failed as a whole: ${file.name}`);
      failed += 1;
    }
  }
}
console.log(`${passed} ${failed}`);
