import type { OperatorClient } from '../client/operator-client.ts';
import { CommandError, EXIT } from './exit-codes.ts';

const SHOWN = 10;

/** The tenant that a command means: the one that is named, else the only one that there is. */
export async function theTenant(client: OperatorClient, named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  const tenants = await client.tenants.list();
  const [first, second] = tenants;
  if (first !== undefined && second === undefined) return first.id;
  if (first === undefined) throw new CommandError('There is no tenant yet: make one with castellan tenants create.');
  const names = tenants.slice(0, SHOWN).map(({ id }) => id);
  throw new CommandError(
    `There is more than one tenant: name one with --tenant (${names.join(', ')}${tenants.length > SHOWN ? ', ...' : ''}).`,
    EXIT.usage,
  );
}
