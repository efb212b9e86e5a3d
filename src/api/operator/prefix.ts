/** Where the operator API is mounted; every path below it is its own. */
export const OPERATOR_PREFIX = '/v1/x-castellan';
