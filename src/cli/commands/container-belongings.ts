import type { Command } from 'commander';
import type { Domain, RegistryStatus, Secret, SshKey } from '../../client/container-wire.ts';
import { ApiError } from '../../client/errors.ts';
import { readTextFile } from '../../server/data-folder.ts';
import type { Context } from '../context.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { renderFields, renderTable, type Column } from '../output/table.ts';
import { momentText } from '../output/words.ts';
import type { Run } from '../run-command.ts';

const usedBy = ({ used_by: names }: { readonly used_by: readonly string[] }): string => names.join(', ');

const DOMAIN_COLUMNS: Column<Domain>[] = [
  { head: 'DOMAIN', text: ({ domain }) => domain },
  {
    head: 'VERIFIED (UTC)',
    text: ({ verified_at: at, missing_since: missing }) =>
      missing === null ? momentText(at, 'no') : `proof missing since ${momentText(missing)}`,
  },
  { head: 'USED BY', text: usedBy },
];

const SECRET_COLUMNS: Column<Secret>[] = [
  { head: 'NAME', text: ({ name }) => name },
  { head: 'UPDATED (UTC)', text: ({ updated_at: at }) => momentText(at) },
  { head: 'USED BY', text: usedBy },
];

const SSH_KEY_COLUMNS: Column<SshKey>[] = [
  { head: 'NAME', text: ({ name }) => name },
  { head: 'TYPE', text: ({ key_type: type }) => type },
  { head: 'FINGERPRINT', text: ({ fingerprint }) => fingerprint },
  { head: 'USED BY', text: usedBy },
];

/** What is to be done about a domain, and how it stands. */
const domainFields = (domain: Domain): [string, string][] => [
  ['domain', domain.domain],
  ['verified', domain.verified ? `since ${momentText(domain.verified_at)} UTC` : 'no'],
  ['TXT record', `${domain.txt_record_host}  ${domain.txt_record_value}`],
  ['CNAME record', `${domain.domain}  ${domain.cname_target}`],
  ...(domain.cname_configured === null ? [] : ([['CNAME is set', domain.cname_configured ? 'yes' : 'no']] as [string, string][])),
  ...(domain.check_error === null ? [] : ([['DNS', domain.check_error]] as [string, string][])),
];

function printDomain(context: Context, domain: Domain): void {
  context.print(domain, (shown) => renderFields(domainFields(shown), context));
  if (domain.verified) return;
  context.terminal.err(
    `Set both records where the DNS of ${domain.domain} is kept, then: castellan containers domains verify ${domain.domain}\n`,
  );
}

/** Adds the commands about what containers use: domains, secrets, SSH keys, credentials of registries. */
export function addContainerBelongings(containers: Command, run: Run): void {
  addDomains(containers.command('domains').description('domains of the organization'), run);
  addSecrets(containers.command('secrets').description('secrets of the organization'), run);
  addSshKeys(containers.command('ssh-keys').description('public keys that open debug containers'), run);
  addRegistries(containers.command('registries').description('what opens private registries of images'), run);
}

function addDomains(domains: Command, run: Run): void {
  domains
    .command('list')
    .description('the domains')
    .action(
      run(async (context) =>
        context.print(await context.containers().domains.list(), (rows) => renderTable(DOMAIN_COLUMNS, rows, context)),
      ),
    );
  domains
    .command('add')
    .description('add a domain, and show the records to set')
    .argument('<domain>')
    .action(run(async (context, domain: string) => printDomain(context, await context.containers().domains.add(domain))));
  domains
    .command('verify')
    .description('ask DNS whether it is proved; code 3 where it is not')
    .argument('<domain>')
    .action(
      run(async (context, domain: string) => {
        const found = await context.containers().domains.verify(domain);
        printDomain(context, found);
        if (!found.verified) context.endWith(EXIT.found);
      }),
    );
  addDelete(domains, run, { argument: '<domain>', remove: (context, domain) => context.containers().domains.delete(domain) });
}

function addSecrets(secrets: Command, run: Run): void {
  secrets
    .command('list')
    .description('the secrets, without their values')
    .action(
      run(async (context) =>
        context.print(await context.containers().secrets.list(), (rows) => renderTable(SECRET_COLUMNS, rows, context)),
      ),
    );
  secrets
    .command('set')
    .description('make a secret, or give it another value: the one that is written to the command')
    .argument('<name>')
    .action(run(setSecret));
  addDelete(secrets, run, { argument: '<name>', remove: (context, name) => context.containers().secrets.delete(name) });
}

/** One line break at the end is the shell\u2019s, not the value\u2019s. */
async function setSecret(context: Context, name: string): Promise<void> {
  const value = (await context.around.input()).replace(/\r?\n$/, '');
  if (value === '')
    throw new CommandError('Write the value to the command, such as: castellan containers secrets set NAME < file', EXIT.usage);
  const { secrets } = context.containers();
  let did = 'created';
  try {
    await secrets.create(name, value);
  } catch (err) {
    if (!(err instanceof ApiError) || err.status !== 409) throw err;
    await secrets.update(name, value);
    did = 'updated';
  }
  context.print({ name, did }, () => `${did} ${name}\n`);
  if (did === 'updated') context.terminal.err('Containers that use it are stale until they are relaunched.\n');
}

function addSshKeys(keys: Command, run: Run): void {
  keys
    .command('list')
    .description('the keys')
    .action(
      run(async (context) =>
        context.print(await context.containers().sshKeys.list(), (rows) => renderTable(SSH_KEY_COLUMNS, rows, context)),
      ),
    );
  keys
    .command('add')
    .description('add a public key: of a file, or the one that is written to the command')
    .argument('<name>')
    .option('--public-key-file <file>', 'such as ~/.ssh/id_ed25519.pub')
    .action(
      run(async (context, name: string, { publicKeyFile: file }: { readonly publicKeyFile?: string }) => {
        const text = file === undefined ? await context.around.input() : readTextFile(file);
        if (text === null) throw new CommandError(`There is no file ${file ?? ''}.`, EXIT.usage);
        const key = await context.containers().sshKeys.add(name, text.trim());
        context.print(key, (shown) => renderTable(SSH_KEY_COLUMNS, [shown], context));
      }),
    );
  addDelete(keys, run, { argument: '<name>', remove: (context, name) => context.containers().sshKeys.delete(name) });
}

const REGISTRY_COLUMNS: Column<readonly [name: string, status: RegistryStatus]>[] = [
  { head: 'REGISTRY', text: ([name]) => name },
  { head: 'CREDENTIALS', text: ([, { has_credentials: has, expired }]) => (has ? (expired ? 'refused by the registry' : 'yes') : 'none') },
  { head: 'NAME', text: ([, { username }]) => username ?? '' },
  { head: 'UPDATED (UTC)', text: ([, { updated_at: at }]) => momentText(at ?? null, '') },
];

function addRegistries(registries: Command, run: Run): void {
  registries
    .command('list')
    .description('the registries, without what opens them')
    .action(
      run(async (context) =>
        context.print(await context.containers().registries.list(), (found) =>
          renderTable(REGISTRY_COLUMNS, Object.entries(found), context),
        ),
      ),
    );
  registries
    .command('set')
    .description('keep what opens one: the token, or for gcr the key of a service account, that is written to the command')
    .argument('<registry>', 'ghcr, gcr or dockerhub')
    .option('--username <name>', 'the name that goes with a token')
    .action(run(setRegistry));
  addDelete(registries, run, {
    argument: '<registry>',
    description: 'forget what opens one',
    remove: (context, registry) => context.containers().registries.delete(registry),
  });
}

async function setRegistry(context: Context, registry: string, { username }: { readonly username?: string }): Promise<void> {
  const given = (await context.around.input()).trim();
  if (given === '') {
    throw new CommandError(
      'Write the token or key to the command, such as: castellan containers registries set ghcr --username NAME < file',
      EXIT.usage,
    );
  }
  const credential = username === undefined ? { key: given } : { username, token: given };
  await context.containers().registries.set(registry, credential);
  context.print({ registry, did: 'saved' }, () => `saved ${registry}\n`);
}

/** What nothing uses may be made again, so nobody is asked. */
function addDelete(
  group: Command,
  run: Run,
  of: { readonly argument: string; readonly description?: string; readonly remove: (context: Context, name: string) => Promise<void> },
): void {
  group
    .command('delete')
    .description(of.description ?? 'delete one that no container uses')
    .argument(of.argument)
    .action(
      run(async (context, name: string) => {
        await of.remove(context, name);
        context.print({ deleted: name }, () => `deleted ${name}\n`);
      }),
    );
}
