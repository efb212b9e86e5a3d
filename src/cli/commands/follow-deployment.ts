import type { Container } from '../../client/container-wire.ts';
import type { Context } from '../context.ts';
import { CommandError } from '../exit-codes.ts';
import { makeProgressLine } from '../progress.ts';

const LOOK_EVERY_MS = 300;
const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** The container of that id, or of that name; of two of a name the one that is not in debug mode, unless `name` says `NAME:debug`. */
export async function findContainer(context: Context, name: string): Promise<Container> {
  if (UUID.test(name)) return context.containers().get(name);
  const isDebug = name.endsWith(':debug');
  const wanted = isDebug ? name.slice(0, -':debug'.length) : name;
  const found = (await context.containers().list()).filter((container) => container.name === wanted);
  const container = found.find(({ debug }) => debug === isDebug) ?? (isDebug ? undefined : found[0]);
  if (container !== undefined) return container;
  throw new CommandError(`There is no container ${name}: castellan containers list shows those that there are.`);
}

/** What a deployment does, for a line that tells how far it is; null once it has come to its end. */
function doing({ status, update_status: update, update_tag: tag, current_tag: current }: Container): string | null {
  if (update === 'pending') return `${tag ?? ''}: reading images, making containers`;
  if (update === 'started') return `${tag ?? ''}: started, waiting until it is well`;
  if (status === 'deploying') return `${current}: coming up`;
  return status === 'stopping' ? `${current}: ending what it serves` : null;
}

/** Waits until nothing is under way with a container, and tells how far it is. Ends at once where it was deleted meanwhile. */
export async function followDeployment(context: Context, container: Container): Promise<Container> {
  const progress = makeProgressLine(context.terminal);
  try {
    for (let last = container; ;) {
      const what = doing(last);
      if (what === null) return last;
      progress.show(what, null);
      await context.around.wait(LOOK_EVERY_MS);
      last = await context.containers().get(container.id);
    }
  } finally {
    progress.end();
  }
}
