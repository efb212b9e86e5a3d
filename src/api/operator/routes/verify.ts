import type { VerifyLedger } from '../../../app/verify-ledger.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';

/** `POST /verify`: reads the whole ledger and tells what contradicts itself. POST, since it is work to do and not a thing to look at. */
export function mountVerify(app: TypedApp, deps: { verifyLedger: VerifyLedger }): void {
  app.post('/verify', async (request) => {
    refuseUnknownQuery(request, []);
    const { accounts, entries, reservations, discrepancies } = await deps.verifyLedger();
    return {
      accounts,
      entries,
      reservations,
      discrepancies: discrepancies.map(({ check, subject, found, expected }) => ({ check, subject, found, expected })),
    };
  });
}
