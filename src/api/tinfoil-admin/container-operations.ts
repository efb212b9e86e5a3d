import Type from 'typebox';
import { named, object, orNull, Timestamp, WholeNumber, type Operations } from '../_shared/openapi/operation.ts';

const Text = Type.String();
const Texts = Type.Array(Type.String());

const Container = named(
  'Container',
  object({
    id: Type.String({ format: 'uuid' }),
    name: Text,
    repo: Type.String({ description: 'owner/repo.' }),
    status: Type.Union(['deploying', 'ready', 'failed', 'stopping', 'stopped'].map((status) => Type.Literal(status))),
    domain: Type.String({ description: 'Where it is reached: its custom domain, or the generated one.' }),
    internal_domain: Type.String({ description: 'The generated domain.' }),
    custom_domain: orNull(Text),
    current_tag: Text,
    current_commit: Type.String({ description: 'The commit of the tag when it was deployed.' }),
    cpus: WholeNumber,
    gpus: WholeNumber,
    memory_mb: WholeNumber,
    debug: Type.Boolean(),
    docker_log: Type.Boolean(),
    staging: Type.Boolean({ description: 'Its updates wait to be accepted.' }),
    disable_cc_mode: Type.Boolean({ description: 'Always true: nothing here runs in confidential hardware.' }),
    host_name: Text,
    host_gpu_type: orNull(Text),
    host_cpu_type: orNull(Text),
    ssh_port: orNull(WholeNumber, 'Of a container in debug mode: where shells in it are reached.'),
    ssh_user: orNull(Type.String(), 'The user name that leads to it there.'),
    variables: Type.Record(Type.String(), Type.String()),
    secrets: Texts,
    ssh_keys: Texts,
    warnings: Type.Array(Type.String(), {
      description: 'Variables and secrets that are given and reach nothing, or are asked for and not given.',
    }),
    stale: Type.Boolean({ description: 'A secret that it uses has another value than it was given: a relaunch brings the new one.' }),
    update_tag: orNull(Text),
    update_status: orNull(Text, 'pending, started, ready or failed.'),
    update_type: orNull(Text),
    update_strategy: orNull(Text, 'blue-green or stop-first.'),
    held: Type.Boolean({ description: 'An update is ready, and waits to be accepted.' }),
    error_message: orNull(Text, 'Why the last deployment failed.'),
    group_name: orNull(Text),
    group_order: Type.Integer(),
    display_order: Type.Integer(),
    github_app_connected: Type.Boolean(),
    auto_update: Type.Boolean(),
    created_at: Timestamp,
    updated_at: Timestamp,
  }),
);

const Update = named(
  'ContainerUpdate',
  object({
    has_update: Type.Boolean(),
    update_deployment_id: Type.Optional(Text),
    update_tag: Type.Optional(Text),
    update_status: Type.Optional(Text),
    update_type: Type.Optional(Text),
    error_message: Type.Optional(orNull(Text)),
  }),
);

const Host = named(
  'ContainerHost',
  object({ id: Text, name: Text, is_default: Type.Boolean(), available_gpu_values: Type.Array(Type.Integer()) }),
);

const NameCheck = named('ContainerNameCheck', object({ available: Type.Boolean(), name: Text, reason: Type.Optional(Text) }));

const ReleaseCheck = named(
  'ReleaseCheck',
  object({
    valid: Type.Boolean(),
    repo: Text,
    tag: Text,
    commit: Text,
    config: Type.Object({}, { additionalProperties: true, description: 'What the configuration asks for.' }),
    variables: Type.Array(Type.String(), { description: 'Names of variables that it takes.' }),
    secrets: Type.Array(Type.String(), { description: 'Names of secrets that it takes.' }),
    update_strategy: Type.String({ description: 'blue-green, or stop-first where two of it cannot run at a time.' }),
    warnings: Texts,
  }),
);

const id = { id: 'The id of the container, a UUID.' };
const one = (description: string) => ({ 200: { description, schema: Container } });
const all = { 200: { description: 'The containers of the tenant as they are listed now.', schema: Type.Array(Container) } };

const deploying =
  'What the body leaves out, or gives as null, stays; lists and variables replace the whole. An empty `custom_domain` goes back to the generated one.';

/** What the document tells about containers. */
export const CONTAINER_OPERATIONS: Operations = {
  'GET /api/containers': {
    id: 'listContainers',
    summary: 'List containers',
    answers: { 200: { description: 'In the order of their groups and places.', schema: Type.Array(Container) } },
  },
  'POST /api/containers': {
    id: 'createContainer',
    summary: 'Create and deploy a container',
    description:
      'Runs what `tinfoil-config.yml` says at a tag of a repository. Needs an active container subscription; GPUs and the choice of a host need entitlements of their own.',
    answers: { 201: { description: 'The container, `deploying`.', schema: Container } },
    errors: [402, 404, 409, 502, 504],
  },
  'GET /api/containers/hosts': {
    id: 'listContainerHosts',
    summary: 'List the hosts that containers may run on',
    answers: { 200: { description: 'The default host, and all others where the tenant may choose.', schema: Type.Array(Host) } },
  },
  'POST /api/containers/validate-name': {
    id: 'validateContainerName',
    summary: 'Check whether a name is free',
    answers: { 200: { description: 'Whether it is, and why not.', schema: NameCheck } },
    errors: [404],
  },
  'POST /api/containers/validate': {
    id: 'validateContainer',
    summary: 'Check the configuration at a tag',
    description: 'Every rule that it breaks is told, with its place in the file, as `errors`.',
    answers: { 200: { description: 'It can be deployed.', schema: ReleaseCheck } },
    errors: [404, 502, 504],
  },
  'PUT /api/containers/reorder': {
    id: 'reorderContainers',
    summary: 'Order containers in lists',
    description: '`orders` is taken for `containers` too.',
    answers: all,
    errors: [404],
  },
  'PUT /api/containers/groups/rename': { id: 'renameContainerGroup', summary: 'Rename a group', answers: all, errors: [404, 409] },
  'PUT /api/containers/groups/reorder': {
    id: 'reorderContainerGroups',
    summary: 'Order groups in lists',
    description: 'A group may be named by `group_name` too.',
    answers: all,
    errors: [404],
  },
  'DELETE /api/containers/groups/:name': {
    id: 'deleteContainerGroup',
    summary: 'Dissolve a group',
    description: 'Its containers stay, without a group.',
    path: { name: 'The name of the group.' },
    answers: { 204: { description: 'It is dissolved.' } },
    errors: [404],
  },
  'GET /api/containers/:id': { id: 'getContainer', summary: 'Show a container', path: id, answers: one('The container.'), errors: [404] },
  'DELETE /api/containers/:id': {
    id: 'deleteContainer',
    summary: 'Delete a container',
    description: 'What it used is settled first.',
    path: id,
    answers: { 204: { description: 'It is deleted.' } },
    errors: [404],
  },
  'GET /api/containers/:id/logs': {
    id: 'readContainerLogs',
    summary: 'Read what a container writes',
    description:
      'An extension of ours. A JSON text a line: `time`, `container` (its name in the configuration), `stream`, `line`, `tag` and `deployment_id`, of the deployments that run, and the last ones of one that failed, by their time. What is older than the host keeps is gone.',
    path: id,
    query: {
      container: { description: 'Only the lines of this one of the configuration.', schema: Text },
      tail: { description: 'The last lines of each.', schema: Type.Integer({ minimum: 1, maximum: 10_000, default: 200 }) },
      since: { description: 'Only lines from then on.', schema: Timestamp },
      follow: { description: 'Goes on with the lines that follow.', schema: Type.Boolean({ default: false }) },
    },
    answers: { 200: { description: 'The lines.', schema: Text, mediaType: 'application/x-ndjson' } },
    errors: [404, 502, 504],
  },
  'POST /api/containers/:id/relaunch': {
    id: 'relaunchContainer',
    summary: 'Deploy a container anew',
    description: `For one that is ready or failed. What serves goes on until the new deployment is well, but where both cannot run at a time. ${deploying}`,
    path: id,
    answers: one('The container: until the update takes over, as it was.'),
    errors: [402, 404, 409, 502, 504],
  },
  'POST /api/containers/:id/start': {
    id: 'startContainer',
    summary: 'Start a stopped container',
    description: deploying,
    path: id,
    answers: one('The container, `deploying`.'),
    errors: [402, 404, 409, 502, 504],
  },
  'POST /api/containers/:id/stop': {
    id: 'stopContainer',
    summary: 'Stop a container',
    path: id,
    answers: one('The container, `stopping`.'),
    errors: [404, 409],
  },
  'GET /api/containers/:id/update': {
    id: 'getContainerUpdate',
    summary: 'Show the update that is under way',
    path: id,
    answers: { 200: { description: 'Its state, or that there is none.', schema: Update } },
    errors: [404],
  },
  'POST /api/containers/:id/update/accept': {
    id: 'acceptContainerUpdate',
    summary: 'Let an update that waits take over',
    path: id,
    answers: one('The container, as the update made it.'),
    errors: [404, 409],
  },
  'POST /api/containers/:id/update/promote': {
    id: 'promoteContainerUpdate',
    summary: 'Let an update that waits take over',
    description: 'The name that later clients have for accept.',
    path: id,
    answers: one('The container, as the update made it.'),
    errors: [404, 409],
  },
  'POST /api/containers/:id/update/cancel': {
    id: 'cancelContainerUpdate',
    summary: 'Drop an update',
    description: 'Not where what it replaces was stopped for it already.',
    path: id,
    answers: { 204: { description: 'It is dropped.' } },
    errors: [404, 409],
  },
  'POST /api/containers/:id/auto-update': {
    id: 'setContainerAutoUpdate',
    summary: 'Switch automatic updates',
    description:
      'For containers that are connected to a GitHub App, and for those of plain git sources. One that waits to be accepted (`staging`) does not update itself.',
    path: id,
    answers: one('The container.'),
    errors: [404, 409],
  },
  'POST /api/containers/:id/github-connection': {
    id: 'setContainerGithubConnection',
    summary: 'Switch the connection to a GitHub App',
    description:
      '404 where no App is declared, or installed for the repository; 403 where the operator did not give its owner to the organization; 409 where the repository is not on GitHub or the installation is suspended. Disconnecting switches automatic updates off.',
    path: id,
    answers: one('The container.'),
    errors: [403, 404, 409, 502, 504],
  },
  'PUT /api/containers/:id/group': {
    id: 'placeContainer',
    summary: 'Put a container into a group, or out of it',
    description: 'All three fields are written as they are; what is left out is written as none. `group_order` is that of the whole group.',
    path: id,
    answers: one('The container.'),
    errors: [404],
  },
};
