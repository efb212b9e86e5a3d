import type { RotateMasterKey } from '../../../app/rotate-master-key.ts';
import { valueOf } from '../../_shared/problem.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';

/** What a process says of itself. `runId` is this run's; the master key is named, never shown. */
export interface ServerFacts {
  readonly version: string;
  readonly runId: string;
  readonly store: 'sqlite' | 'postgres';
  readonly masterKeySource: 'environment' | 'file';
  readonly masterKeyId: () => string;
}

/** `GET /server`: which program this is, and on what. */
export function mountServer(app: TypedApp, { server }: { server: ServerFacts }): void {
  app.get('/server', async (request) => {
    refuseUnknownQuery(request, []);
    return {
      version: server.version,
      run_id: server.runId,
      store: server.store,
      master_key: { id: server.masterKeyId(), source: server.masterKeySource },
    };
  });
}

/** `POST /rotate-master-key`: changes the master key, and answers when nothing needs the key before any more. */
export function mountRotateMasterKey(app: TypedApp, { rotateMasterKey }: { rotateMasterKey: RotateMasterKey }): void {
  app.post('/rotate-master-key', async (request) => {
    refuseUnknownQuery(request, []);
    const { fromId, toId, resealed } = valueOf(await rotateMasterKey(operatorOf(request)));
    return { from_key_id: fromId, to_key_id: toId, resealed };
  });
}
