import { invalid, type Refusal } from '../access/rules.ts';

/** The name of the configuration file, at the root of a repository. Source: Tinfoil reference section 3. */
export const CONFIG_FILE = 'tinfoil-config.yml';

const OWNER = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?$/;
const REPOSITORY = /^[A-Za-z0-9._-]{1,100}$/;
const MAX_TAG_LENGTH = 250;
/** Characters that git's `check-ref-format` refuses in a name. */
const BAD_IN_TAG = /[\u0000-\u0020\u007f~^:?*[\\]/;
const BAD_PART = /^\.|\.$|\.lock$/;

/** Checks the name of a repository, `owner/repo`, by GitHub's rules: so no part of it can be an option, a path or an address. */
export function checkRepo(repo: string): Refusal | null {
  const [owner = '', name = '', ...rest] = repo.split('/');
  const isGood =
    rest.length === 0 &&
    OWNER.test(owner) &&
    !owner.includes('--') &&
    REPOSITORY.test(name) &&
    name !== '.' &&
    name !== '..' &&
    !name.startsWith('-');
  return isGood ? null : invalid('repo', 'be owner/repo as GitHub names repositories');
}

/** Checks the name of a tag by the rules of git's `check-ref-format`; one that begins with `-` is refused as well. */
export function checkTag(tag: string): Refusal | null {
  const isGood =
    tag.length > 0 &&
    tag.length <= MAX_TAG_LENGTH &&
    !tag.startsWith('-') &&
    tag !== '@' &&
    !BAD_IN_TAG.test(tag) &&
    !tag.includes('..') &&
    !tag.includes('@{') &&
    tag.split('/').every((part) => part.length > 0 && !BAD_PART.test(part));
  return isGood ? null : invalid('tag', `be the name of a git tag of at most ${MAX_TAG_LENGTH} characters`);
}
