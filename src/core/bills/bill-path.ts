/** Below this path the control plane shows bills to whoever has their links. */
export const BILLS_PREFIX = '/bills';

/** The path of a bill's page. */
export const billPath = (billId: string, token: string): string => `${BILLS_PREFIX}/${billId}/${token}`;
