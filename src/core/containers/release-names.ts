import { invalid, type Refusal } from '../access/rules.ts';

/** The name of the configuration file, at the root of a repository. Source: Tinfoil reference section 3. */
export const CONFIG_FILE = 'tinfoil-config.yml';

const OWNER = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?$/;
const REPOSITORY = /^[A-Za-z0-9._-]{1,100}$/;
const MAX_TAG_LENGTH = 250;

/** A rule of a name: whether a text breaks it, and what the text must do. */
type NameRule = readonly [breaks: (text: string) => boolean, rule: string];

const REPOSITORY_RULES: readonly NameRule[] = [
  [(name) => !REPOSITORY.test(name), 'have a name of 1 to 100 letters, digits, ".", "_" and "-" after the slash'],
  [(name) => name === '.' || name === '..', 'not be named "." or ".."'],
  [(name) => name.startsWith('-'), 'not have a name that begins with "-"'],
];

const OWNER_RULE: NameRule = [
  (owner) => !OWNER.test(owner) || owner.includes('--'),
  'have an owner of 1 to 39 letters, digits and single hyphens before the slash, with no hyphen at its ends',
];

const TAG_RULES: readonly NameRule[] = [
  [(tag) => tag.length === 0 || tag.length > MAX_TAG_LENGTH, `have 1 to ${MAX_TAG_LENGTH} characters`],
  [(tag) => tag.startsWith('-'), 'not begin with "-"'],
  [(tag) => /[\u0000-\u0020\u007f]/.test(tag), 'not hold spaces or control characters'],
  [(tag) => /[~^:?*[\\]/.test(tag), 'hold none of ~ ^ : ? * [ \\'],
  [(tag) => tag.includes('..'), 'not hold ".."'],
  [(tag) => tag.includes('@{') || tag === '@', 'not hold "@{" or be "@"'],
  [(tag) => tag.length > 0 && tag.split('/').includes(''), 'not begin or end with "/", or hold two in a row'],
  [(tag) => tag.split('/').some((part) => /^\.|\.$|\.lock$/.test(part)), 'have no part that begins or ends with "." or ends with ".lock"'],
  [(tag) => !tag.isWellFormed(), 'be text that UTF-8 can hold'],
];

/** The rules that a name breaks, in words. */
const broken = (rules: readonly NameRule[], text: string): string[] => rules.filter(([breaks]) => breaks(text)).map(([, rule]) => rule);

/** Checks the name of a repository, `owner/repo`, by GitHub's rules: so no part of it can be an option, a path or an address. All rules that it breaks are told. */
export function checkRepo(repo: string): Refusal | null {
  const [owner = '', name = '', ...rest] = repo.split('/');
  if (rest.length > 0 || !repo.includes('/')) return invalid('repo', 'be owner/repo');
  const rules = [...broken([OWNER_RULE], owner), ...broken(REPOSITORY_RULES, name)];
  return rules.length === 0 ? null : invalid('repo', rules.join('; and '));
}

/** Checks the name of a tag by the rules of git's `check-ref-format`; one that begins with `-` is refused as well. All rules that it breaks are told. */
export function checkTag(tag: string): Refusal | null {
  const rules = broken(TAG_RULES, tag);
  return rules.length === 0 ? null : invalid('tag', rules.join('; and '));
}
