import pg from 'pg';

/** A prepared statement: parsed once for each connection under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** A row as the driver gives it: bigints, texts (JSON too), booleans and nulls. */
export type Row = Readonly<Record<string, unknown>>;

/** The server's time at this moment, in milliseconds, as an expression. The planner does not take it for constant. */
export const SERVER_NOW_MS = '(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)';

const INT8 = 20;
const JSON_TEXT = 114;

/** Type parsers of every connection: int8 is a bigint, JSON stays the text that it is. */
export const TYPES: pg.CustomTypesConfig = {
  // The driver's own type names two overloads by format; ours only ever sees text.
  getTypeParser: ((oid: number, format: 'text' | 'binary') => {
    if (oid === INT8) return BigInt;
    if (oid === JSON_TEXT) return String;
    return pg.types.getTypeParser(oid, format) as unknown;
  }) as pg.CustomTypesConfig['getTypeParser'],
};
