import Type, { type TSchema } from 'typebox';
import { JsonObject } from '../_shared/validation.ts';

const rule = (text: string): { rule: string } => ({ rule: text });

/** A field that may be left out, or null: clients of this API send both for what they do not mean to say. */
const maybe = <T extends TSchema>(type: T, text: string) => Type.Optional(Type.Union([type, Type.Null()], rule(text)));

const Text = Type.String();
const Names = Type.Array(Type.String());
const Whole = Type.Integer(rule('a whole number'));

const texts = { tag: maybe(Text, 'a string'), custom_domain: maybe(Text, 'a string'), host_name: maybe(Text, 'a string') };

const deployment = {
  ...texts,
  variables: maybe(JsonObject, 'an object of strings'),
  secrets: maybe(Names, 'a list of names'),
  ssh_keys: maybe(Names, 'a list of names'),
  gpus: maybe(Type.Integer(), 'a whole number'),
  debug: maybe(Type.Boolean(), 'true or false'),
  docker_log: maybe(Type.Boolean(), 'true or false'),
  staging: maybe(Type.Boolean(), 'true or false'),
};

/** Body of `POST /api/containers`. Unknown fields are ignored, as later clients of this API send some. */
export const CreateContainerBody = Type.Object({
  ...deployment,
  name: Type.String(rule('a string')),
  repo: Type.String(rule('owner/repo, as a string')),
  tag: Type.String(rule('a string')),
  disable_cc_mode: maybe(Type.Boolean(), 'true or false'),
  group_name: maybe(Text, 'a string'),
  group_order: maybe(Type.Integer(), 'a whole number'),
  display_order: maybe(Type.Integer(), 'a whole number'),
  replace_container_id: maybe(Text, 'the id of a container'),
});

/** Body of `relaunch` and `start`. No body, and null, ask for what there is. */
export const DeployContainerBody = Type.Union([Type.Object(deployment), Type.Null()]);

/** Body of `POST /api/containers/validate-name`. */
export const ValidateNameBody = Type.Object({
  name: Type.String(rule('a string')),
  debug: maybe(Type.Boolean(), 'true or false'),
  custom_domain: maybe(Text, 'a string'),
  relaunch_container_id: maybe(Text, 'the id of a container'),
});

/** Body of `POST /api/containers/validate`. */
export const ValidateContainerBody = Type.Object({
  repo: Type.String(rule('owner/repo, as a string')),
  tag: Type.String(rule('a string')),
  relaunch_container_id: maybe(Text, 'the id of a container'),
  replace_container_id: maybe(Text, 'the id of a container'),
});

/** Body of `auto-update`. */
export const AutoUpdateBody = Type.Object({ auto_update: Type.Boolean(rule('true or false')) });

/** Body of `github-connection`. */
export const GithubConnectionBody = Type.Object({ connected: Type.Boolean(rule('true or false')) });

/** Body of `PUT /api/containers/:id/group`. Every field is written as it is; what is left out is written as none. */
export const GroupBody = Type.Object({
  group_name: maybe(Text, 'a string, or null'),
  group_order: maybe(Type.Integer(), 'a whole number'),
  display_order: maybe(Type.Integer(), 'a whole number'),
});

const Order = Type.Object({ id: Type.String(rule('the id of a container')), display_order: Whole });

/** Body of `PUT /api/containers/reorder`: `containers`, or `orders`. */
export const ReorderBody = Type.Object({
  containers: Type.Optional(Type.Array(Order)),
  orders: Type.Optional(Type.Array(Order)),
});

/** Body of `PUT /api/containers/groups/rename`. */
export const RenameGroupBody = Type.Object({ old_name: Type.String(rule('a string')), new_name: Type.String(rule('a string')) });

/** Body of `PUT /api/containers/groups/reorder`: each group by `name`, or `group_name`. */
export const ReorderGroupsBody = Type.Object({
  groups: Type.Array(Type.Object({ name: Type.Optional(Text), group_name: Type.Optional(Text), group_order: Whole })),
});
