import { Argument, type Command } from 'commander';
import type { Container, DeploymentFields } from '../../client/container-wire.ts';
import type { Context } from '../context.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { renderFields, renderTable, type Column } from '../output/table.ts';
import { momentText } from '../output/words.ts';
import type { Run } from '../run-command.ts';
import { findContainer, followDeployment } from './follow-deployment.ts';
import { addContainerBelongings } from './container-belongings.ts';
import { addContainerFigures } from './container-figures.ts';
import { addContainerPlaces } from './container-places.ts';
import { addContainerSessions } from './container-sessions.ts';
import { releaseOf } from './release-of-folder.ts';

const COLUMNS: Column<Container>[] = [
  { head: 'NAME', text: ({ name, debug }) => (debug ? `${name} (debug)` : name) },
  { head: 'STATUS', text: statusOf },
  { head: 'TAG', text: ({ current_tag: tag }) => tag },
  { head: 'UPDATE', text: ({ update_tag: tag, update_status: status }) => (tag === null ? '' : `${tag}, ${status ?? ''}`) },
  { head: 'DOMAIN', text: ({ domain }) => domain },
  { head: 'HOST', text: ({ host_name: host }) => host },
];

/** How a container is, with what it waits for. */
function statusOf({ status, held, stale }: Container): string {
  const notes = [...(held ? ['an update waits'] : []), ...(stale ? ['stale'] : [])];
  return notes.length === 0 ? status : `${status} (${notes.join(', ')})`;
}

const listText = (texts: readonly string[]): string => texts.join(', ') || 'none';

const fieldsOf = (container: Container): [string, string][] => [
  ['name', container.name],
  ['id', container.id],
  ['status', statusOf(container)],
  ...(container.error_message === null ? [] : ([['error', container.error_message]] as [string, string][])),
  ['domain', container.domain],
  ...(container.custom_domain === null ? [] : ([['generated domain', container.internal_domain]] as [string, string][])),
  ['repository', `${container.repo} ${container.current_tag} (${container.current_commit.slice(0, 12)})`],
  ...(container.update_tag === null
    ? []
    : ([['update', `${container.update_tag}, ${container.update_status ?? ''}`]] as [string, string][])),
  ['host', container.host_name],
  ['takes', `${container.cpus} processors, ${container.memory_mb} MB, ${container.gpus} GPUs`],
  ['updates', container.auto_update ? 'by itself' : 'when asked'],
  ...(container.github_app_connected ? ([['GitHub App', 'connected']] as [string, string][]) : []),
  ...(container.group_name === null ? [] : ([['group', container.group_name]] as [string, string][])),
  ['variables', listText(Object.keys(container.variables))],
  ['secrets', listText(container.secrets)],
  ['mode', container.debug ? `debug, SSH keys ${listText(container.ssh_keys)}` : 'production'],
  ...container.warnings.map((warning): [string, string] => ['warning', warning]),
  ['created (UTC)', momentText(container.created_at)],
];

const printContainer = (context: Context, container: Container): void =>
  context.print(container, (shown) => renderFields(fieldsOf(shown), context));

/** Gathers what may be given several times. */
const gather = (text: string, before: readonly string[] = []): string[] => [...before, text];

/** `NAME=value`. */
function gatherPair(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new CommandError(`"${text}" is no variable: write NAME=value.`, EXIT.usage);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

function countOf(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new CommandError(`"${text}" is no number of GPUs.`, EXIT.usage);
}

/** What `create` and `relaunch` take of a deployment. */
interface DeployOptions {
  readonly tag?: string;
  readonly var?: Readonly<Record<string, string>>;
  readonly secret?: readonly string[];
  readonly sshKey?: readonly string[];
  readonly debug?: boolean;
  readonly staging?: boolean;
  readonly gpus?: number;
  readonly domain?: string;
  readonly host?: string;
  readonly wait: boolean;
}

const deploymentOf = (options: DeployOptions): DeploymentFields => ({
  ...(options.var === undefined ? {} : { variables: options.var }),
  ...(options.secret === undefined ? {} : { secrets: options.secret }),
  ...(options.sshKey === undefined ? {} : { ssh_keys: options.sshKey }),
  ...(options.debug === undefined ? {} : { debug: options.debug }),
  ...(options.staging === undefined ? {} : { staging: options.staging }),
  ...(options.gpus === undefined ? {} : { gpus: options.gpus }),
  ...(options.domain === undefined ? {} : { custom_domain: options.domain }),
  ...(options.host === undefined ? {} : { host_name: options.host }),
});

const withDeployment = (command: Command): Command =>
  command
    .option('--tag <tag>', 'the tag to deploy')
    .option('--var <NAME=value>', 'a variable; may be given several times', gatherPair)
    .option('--secret <name>', 'a secret that it may use; may be given several times', gather)
    .option('--ssh-key <name>', 'an SSH key that opens it, with --debug; may be given several times', gather)
    .option('--debug', 'in debug mode: with a shell')
    .option('--no-debug', 'not in debug mode')
    .option('--staging', 'it waits to be accepted once it is ready')
    .option('--gpus <count>', 'how many GPUs', countOf)
    .option('--domain <domain>', 'a verified domain; an empty one goes back to the generated name')
    .option('--host <name>', 'the host to run on')
    .option('--no-wait', 'do not wait until it serves');

/** Adds `containers` and its commands. */
export function addContainers(program: Command, run: Run): void {
  const containers = program.command('containers').description('containers of an organization');
  containers
    .command('list')
    .description('the containers, by their groups and places')
    .action(run(async (context) => context.print(await context.containers().list(), (rows) => renderTable(COLUMNS, rows, context))));
  containers
    .command('show')
    .description('one container')
    .argument('<name>', 'its name or id')
    .action(run(async (context, name: string) => printContainer(context, await findContainer(context, name))));
  withDeployment(containers.command('create').description('deploy a repository, and wait until it serves'))
    .argument('[folder]', 'a checkout: its origin is the repository, its newest tag what is deployed; this folder where it is left out')
    .option('--name <name>', 'what it is called; the repository\u2019s name where it is left out')
    .option('--repo <owner/repo>', 'the repository, instead of a folder\u2019s')
    .action(run(create));
  withDeployment(containers.command('relaunch').description('deploy anew, and wait until that serves; what is not given stays'))
    .argument('<name>', 'its name or id')
    .action(run(relaunch));
  for (const [name, description] of [
    ['start', 'start one that is stopped, and wait until it serves'],
    ['accept', 'let an update that waits take the traffic'],
  ] as const) {
    containers
      .command(name)
      .description(description)
      .argument('<name>', 'its name or id')
      .option('--no-wait', 'do not wait until it serves')
      .action(
        run(async (context, given: string, { wait }: { readonly wait: boolean }) => {
          const { id } = await findContainer(context, given);
          await finish(context, await context.containers()[name](id), wait);
        }),
      );
  }
  containers
    .command('stop')
    .description('stop one that runs')
    .argument('<name>', 'its name or id')
    .action(
      run(async (context, name: string) =>
        printContainer(context, await context.containers().stop((await findContainer(context, name)).id)),
      ),
    );
  containers
    .command('cancel')
    .description('drop an update')
    .argument('<name>', 'its name or id')
    .action(
      run(async (context, name: string) => {
        const { id } = await findContainer(context, name);
        await context.containers().cancel(id);
        printContainer(context, await context.containers().get(id));
      }),
    );
  containers
    .command('auto-update')
    .description('let one go to newer tags by itself, or not')
    .argument('<name>', 'its name or id')
    .addArgument(new Argument('<how>').choices(['on', 'off']))
    .action(
      run(async (context, name: string, how: string) => {
        const { id } = await findContainer(context, name);
        printContainer(context, await context.containers().setAutoUpdate(id, how === 'on'));
      }),
    );
  containers
    .command('github')
    .description('connect one to the GitHub App of this server, or disconnect it')
    .argument('<name>', 'its name or id')
    .addArgument(new Argument('<how>').choices(['on', 'off']))
    .action(
      run(async (context, name: string, how: string) => {
        const { id } = await findContainer(context, name);
        printContainer(context, await context.containers().setGithubConnection(id, how === 'on'));
      }),
    );
  containers
    .command('delete')
    .description('delete one for good')
    .argument('<name>', 'its name or id')
    .option('--yes', 'do not ask')
    .action(run(remove));
  containers
    .command('follow')
    .description('wait until a deployment has come to its end, and tell how far it is')
    .argument('<name>', 'its name or id')
    .action(run(async (context, name: string) => finish(context, await findContainer(context, name), true)));
  addContainerFigures(containers, run);
  addContainerPlaces(containers, run);
  addContainerSessions(containers, run);
  addContainerBelongings(containers, run);
}

async function create(
  context: Context,
  folder: string | undefined,
  options: DeployOptions & { readonly name?: string; readonly repo?: string },
): Promise<void> {
  const { repo, tag } = await releaseOf(context, { folder: folder ?? '.', repo: options.repo, tag: options.tag });
  const name = options.name ?? (repo.split('/').at(-1) ?? repo).toLowerCase().replaceAll(/[^a-z0-9-]+/g, '-');
  await finish(context, await context.containers().create({ name, repo, tag, ...deploymentOf(options) }), options.wait);
}

async function relaunch(context: Context, name: string, options: DeployOptions): Promise<void> {
  const { id } = await findContainer(context, name);
  const changes = { ...(options.tag === undefined ? {} : { tag: options.tag }), ...deploymentOf(options) };
  await finish(context, await context.containers().relaunch(id, changes), options.wait);
}

/** Shows a container once its deployment has come to its end; with code 1 where that failed. */
async function finish(context: Context, container: Container, wait: boolean): Promise<void> {
  const last = wait ? await followDeployment(context, container) : container;
  printContainer(context, last);
  const why = last.status === 'failed' || last.update_status === 'failed' ? (last.error_message ?? 'it did not come up') : null;
  if (why === null || !wait) return;
  context.terminal.err(`castellan: the deployment failed: ${why}\ncastellan containers logs ${last.name} shows what it wrote.\n`);
  context.endWith(EXIT.failed);
}

async function remove(context: Context, name: string, { yes = false }: { readonly yes?: boolean }): Promise<void> {
  const container = await findContainer(context, name);
  if (!yes) {
    const answer = await context.terminal.confirm(`Delete the container ${container.name} (${container.repo}) for good?`);
    if (answer === null) throw new CommandError('Nobody can be asked here: give --yes to delete it.', EXIT.usage);
    if (!answer) throw new CommandError(`The container ${container.name} stays.`);
  }
  await context.containers().delete(container.id);
  context.print({ deleted: container.name, id: container.id }, () => `deleted ${container.name}\n`);
}
