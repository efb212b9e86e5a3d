import { describe, expect, test } from 'vitest';
import Type from 'typebox';
import { compareDocuments, type Comparison } from '../../tools/specs/compare-documents.ts';
import { describedDocument } from '../../tools/specs/described.ts';
import { compareEventData } from '../../tools/specs/event-data.ts';
import { judge } from '../../tools/specs/judge.ts';
import { readDocument } from '../../tools/specs/published.ts';
import type { Json } from '../../tools/specs/shape.ts';

/** A small published document; each test plants one difference in a copy of it. */
const published = () => ({
  openapi: '3.1.0',
  security: [{ Key: [] }],
  components: {
    securitySchemes: {
      Key: { type: 'apiKey', in: 'header', name: 'X-Cycles-API-Key' },
      Admin: { type: 'apiKey', in: 'header', name: 'X-Admin-API-Key' },
    },
    parameters: {
      Limit: { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 200 } },
    },
    responses: { Wrong: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Problem' } } } } },
    schemas: {
      Problem: {
        type: 'object',
        additionalProperties: false,
        required: ['error'],
        properties: { error: { type: 'string', enum: ['A', 'B'] } },
      },
      Size: {
        type: 'object',
        additionalProperties: false,
        required: ['unit', 'amount'],
        properties: { unit: { type: 'string', enum: ['KG'] }, amount: { type: 'integer', format: 'int64', minimum: 0 } },
      },
      Parcel: {
        allOf: [
          { type: 'object', required: ['size'], properties: { size: { $ref: '#/components/schemas/Size' } } },
          {
            type: 'object',
            additionalProperties: false,
            properties: {
              to: { type: 'string', minLength: 1, maxLength: 64, pattern: '^[a-z]+$' },
              tags: { type: 'array', maxItems: 3, items: { type: 'string', maxLength: 8 } },
              labels: { type: 'object', maxProperties: 2, additionalProperties: { type: 'string' } },
              sent_at: { type: 'string', format: 'date-time' },
              secret: { type: 'string', writeOnly: true },
              place: {
                type: 'object',
                additionalProperties: false,
                anyOf: [{ required: ['shelf'] }, { required: ['box'] }],
                properties: { shelf: { type: 'string' }, box: { type: 'string' } },
              },
            },
          },
        ],
      },
    },
  },
  paths: {
    '/v1/parcels': {
      parameters: [{ $ref: '#/components/parameters/Limit' }],
      get: {
        operationId: 'listParcels',
        parameters: [{ name: 'kind', in: 'query', explode: false, schema: { type: 'array', items: { type: 'string' } } }],
        responses: {
          '200': {
            content: {
              'application/json': {
                schema: { type: 'object', properties: { parcels: { type: 'array', items: { $ref: '#/components/schemas/Parcel' } } } },
              },
            },
          },
          '400': { $ref: '#/components/responses/Wrong' },
        },
      },
    },
    '/v1/parcels/{parcel_id}': {
      put: {
        operationId: 'putParcel',
        security: [{ Key: [] }, { Admin: [] }],
        parameters: [{ name: 'parcel_id', in: 'path', required: true, schema: { type: 'string' } }],
        requestBody: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/Parcel' } } } },
        responses: { '204': {}, '400': { $ref: '#/components/responses/Wrong' } },
      },
    },
  },
});

type Published = ReturnType<typeof published>;

/** What is found where ours is the document above and the published one has been changed by `plant`. */
function planted(plant: (document: Published) => void): readonly string[] {
  const there = published();
  plant(there);
  return compareDocuments({ there: readDocument(there), here: readDocument(published()) }).differences;
}

const schemasOf = (document: Published): Record<string, Json> => document.components.schemas;
const parcel = (document: Published): Record<string, Json> =>
  (document.components.schemas.Parcel.allOf[1] as unknown as { properties: Record<string, Json> }).properties;

test('two documents that say the same have no difference, and what was compared is counted', () => {
  const compared: Comparison = compareDocuments({ there: readDocument(published()), here: readDocument(published()) });
  expect(compared).toEqual({ differences: [], operationCount: 2, schemaCount: expect.any(Number) as number });
  expect(compared.schemaCount).toBeGreaterThanOrEqual(3);
});

describe('each kind of difference is found and told with its place', () => {
  test.each<readonly [string, (document: Published) => void, readonly string[]]>([
    [
      'an operation that only they have',
      (document) => Object.assign(document.paths['/v1/parcels'], { delete: { operationId: 'deleteParcels', responses: {} } }),
      ['DELETE /v1/parcels: is only there'],
    ],
    [
      'an operation that only we have',
      (document) => Reflect.deleteProperty(document.paths['/v1/parcels'], 'get'),
      ['GET /v1/parcels: is only here'],
    ],
    [
      'another name',
      (document) => (document.paths['/v1/parcels'].get.operationId = 'findParcels'),
      ['findParcels: is called listParcels here'],
    ],
    [
      'other credentials',
      (document) => document.paths['/v1/parcels/{parcel_id}'].put.security.pop(),
      ['putParcel: takes X-Cycles-API-Key there and X-Admin-API-Key or X-Cycles-API-Key here'],
    ],
    [
      'a parameter that only they have',
      (document) =>
        document.paths['/v1/parcels'].get.parameters.push({
          name: 'colour',
          in: 'query',
          explode: true,
          schema: { type: 'string', items: { type: 'string' } },
        }),
      ['listParcels: query colour is only there'],
    ],
    [
      'a parameter that only we have',
      (document) => document.paths['/v1/parcels'].get.parameters.pop(),
      ['listParcels: query kind is only here'],
    ],
    [
      'a parameter that must be given',
      (document) => Object.assign(document.components.parameters.Limit, { required: true }),
      ['listParcels: query limit is required only there'],
    ],
    [
      'how a parameter holds several values',
      (document) => ((document.paths['/v1/parcels'].get.parameters[0] as { explode: boolean }).explode = true),
      ['listParcels: query kind is separated by commas only here'],
    ],
    [
      'a bound of a parameter',
      (document) => (document.components.parameters.Limit.schema.maximum = 100),
      ['request listParcels.query limit: maximum is 100 there and 200 here'],
    ],
    [
      'a body that only we take',
      (document) => Reflect.deleteProperty(document.paths['/v1/parcels/{parcel_id}'].put, 'requestBody'),
      ['putParcel: a body is taken only here'],
    ],
    [
      'a body that may be left out',
      (document) => (document.paths['/v1/parcels/{parcel_id}'].put.requestBody.required = false),
      ['putParcel: the body is required only here'],
    ],
    [
      'a status that only they have',
      (document) => Object.assign(document.paths['/v1/parcels/{parcel_id}'].put.responses, { '409': {} }),
      ['putParcel: status 409 is only there'],
    ],
    [
      'a status that only we have',
      (document) => Reflect.deleteProperty(document.paths['/v1/parcels/{parcel_id}'].put.responses, '204'),
      ['putParcel: status 204 is only here'],
    ],
    [
      'an answer that has a body only there',
      (document) =>
        (document.paths['/v1/parcels/{parcel_id}'].put.responses['204'] = {
          content: { 'application/json': { schema: { type: 'object' } } },
        }),
      ['putParcel: status 204 has a body only there'],
    ],
    [
      'a type',
      (document) => (parcel(document)['to'] = { type: 'integer' }),
      [
        'request Parcel.to: type is integer there and string here',
        'request Parcel.to: maxLength is none there and 64 here',
        'answer Parcel.to: type is integer there and string here',
      ],
    ],
    [
      'a list of values',
      (document) => (document.components.schemas.Problem.properties.error.enum = ['A', 'C']),
      ['answer Problem.error: value C is only there', 'answer Problem.error: value B is only here'],
    ],
    [
      'values that are free',
      (document) => Reflect.deleteProperty(document.components.schemas.Size.properties.unit, 'enum'),
      ['answer Size.unit: values are free there and listed here'],
    ],
    [
      'a format',
      (document) => Reflect.deleteProperty(parcel(document)['sent_at'] as object, 'format'),
      ['answer Parcel.sent_at: format is none there and date-time here'],
    ],
    [
      'a least value',
      (document) => (document.components.schemas.Size.properties.amount.minimum = 1),
      ['answer Size.amount: minimum is 1 there and 0 here'],
    ],
    [
      'a length',
      (document) => Object.assign(parcel(document)['to'] as object, { maxLength: 65, minLength: 2 }),
      ['answer Parcel.to: maxLength is 65 there and 64 here', 'answer Parcel.to: minLength is 2 there and 1 here'],
    ],
    [
      'a pattern',
      (document) => Object.assign(parcel(document)['to'] as object, { pattern: '^[A-Z]+$' }),
      ['answer Parcel.to: pattern is ^[A-Z]+$ there and ^[a-z]+$ here'],
    ],
    [
      'a number of items',
      (document) => Object.assign(parcel(document)['tags'] as object, { maxItems: 4 }),
      ['answer Parcel.tags: maxItems is 4 there and 3 here'],
    ],
    [
      'what the items are',
      (document) => Object.assign(parcel(document)['tags'] as object, { items: { type: 'string', maxLength: 9 } }),
      ['answer Parcel.tags[]: maxLength is 9 there and 8 here'],
    ],
    [
      'items that are described only here',
      (document) => Reflect.deleteProperty(parcel(document)['tags'] as object, 'items'),
      ['answer Parcel.tags: items are described only here'],
    ],
    [
      'what other fields may be',
      (document) => Object.assign(parcel(document)['labels'] as object, { additionalProperties: { type: 'integer' } }),
      ['answer Parcel.labels.*: type is integer there and string here'],
    ],
    [
      'which fields must be given',
      (document) => (document.components.schemas.Size.required = ['unit']),
      ['answer Size.amount: is required only here'],
    ],
    [
      'a field that only they have',
      (document) => (parcel(document)['weight'] = { type: 'integer' }),
      ['request Parcel.weight: is only there', 'answer Parcel.weight: is only there'],
    ],
    ['a field that only we have', (document) => Reflect.deleteProperty(parcel(document), 'to'), ['answer Parcel.to: is only here']],
    [
      'which of several fields must be given',
      (document) => (parcel(document)['place'] as { anyOf: object[] }).anyOf.pop(),
      ['answer Parcel.place: at least one of is shelf there and box, shelf here'],
    ],
    [
      'closedness',
      (document) => Reflect.deleteProperty(document.components.schemas.Size, 'additionalProperties'),
      ['answer Size: is open there and closed here'],
    ],
    [
      'a component that nothing refers to',
      (document) => (schemasOf(document)['Stamp'] = { type: 'object' }),
      ['component Stamp: is compared with nothing'],
    ],
  ])('%s', (_kind, plant, expected) => {
    const found = planted(plant);
    expect(found).toEqual(expect.arrayContaining([...expected]));
    // Nothing that was not planted: every line is about the planted place.
    const places = expected.map(
      (line) =>
        line
          .replace(/^(?:request|answer) /, '')
          .split(':')[0]
          ?.split(/[ .]/)[0],
    );
    expect(found.filter((line) => !places.some((place) => line.includes(place ?? '')))).toEqual([]);
  });

  test('a field that is only written is not missed in answers, and is in requests', () => {
    const here = published();
    Reflect.deleteProperty(parcel(here), 'secret');
    const { differences } = compareDocuments({ there: readDocument(published()), here: readDocument(here) });
    expect(differences).toEqual(['request Parcel.secret: is only there']);
  });

  test('a reference that leads nowhere is told, not passed over', () => {
    expect(() => planted((document) => Reflect.deleteProperty(document.components.schemas, 'Size'))).toThrow(
      '#/components/schemas/Size leads nowhere',
    );
  });
});

describe('our own descriptions are read as the document shows them', () => {
  const error = Type.Object({ error: Type.String({ enum: ['A', 'B'] }) }, { additionalProperties: false, title: 'Problem' });
  const size = Type.Object(
    { unit: Type.String({ enum: ['KG'] }), amount: Type.Unsafe<bigint>({ documentAs: { type: 'integer', format: 'int64', minimum: 0 } }) },
    { additionalProperties: false, title: 'Size' },
  );
  const described = (body: ReturnType<typeof Type.Union>) =>
    describedDocument({
      operations: {
        'PUT /v1/parcels/:parcel_id': {
          id: 'putParcel',
          summary: 'Put a parcel',
          body: { schema: body },
          answers: { 204: { description: 'It is there.' } },
          errors: [400],
          security: ['operatorKey', 'tenantKey'],
        },
      },
      security: ['tenantKey'],
      error,
      always: [503],
    });
  const there = () => {
    const document = published();
    Reflect.deleteProperty(document.paths, '/v1/parcels');
    const { put } = document.paths['/v1/parcels/{parcel_id}'];
    put.requestBody.content['application/json'].schema.$ref = '#/components/schemas/Size';
    Reflect.deleteProperty(document.components.schemas, 'Parcel');
    return readDocument(document);
  };

  test('forms that are taken beside the published one are told, and statuses of every operation once', () => {
    const here = described(Type.Union([size, Type.Integer()]));
    expect(compareDocuments({ there: there(), here, always: [503] }).differences).toEqual([
      'request Size: is also integer here',
      'every operation: status 503 is only here',
    ]);
  });

  test('a body that may be null may be left out', () => {
    const here = described(Type.Union([size, Type.Null()]));
    expect(compareDocuments({ there: there(), here, always: [503] }).differences).toEqual([
      'putParcel: the body is required only there',
      'every operation: status 503 is only here',
    ]);
  });
});

describe('the data of events', () => {
  const schemas = {
    EventDataParcel: { type: 'object', description: 'Payload for parcel.sent, parcel.lost events.' },
    EventDataStamp: { type: 'object', description: 'Payload for stamp.used.' },
    Other: { type: 'object', description: 'parcel.sent' },
  };
  const types = ['parcel.sent', 'parcel.lost', 'stamp.used'];

  test('is compared with what the document says in words', () => {
    const table = { 'parcel.sent': 'EventDataParcel', 'parcel.lost': 'EventDataParcel', 'stamp.used': 'EventDataStamp' };
    expect(compareEventData({ types, schemas }, table)).toEqual([]);
    expect(compareEventData({ types, schemas }, { ...table, 'parcel.lost': 'EventDataStamp', 'stamp.sold': 'EventDataStamp' })).toEqual([
      'event parcel.lost: data is EventDataParcel there and EventDataStamp here',
      'event stamp.sold: is only here',
    ]);
    expect(compareEventData({ types: [...types, 'stamp.torn'], schemas }, table)).toEqual([
      'event stamp.torn: data is nothing there and nothing here'.replace(
        'nothing there and nothing here',
        'nothing there and nothing here',
      ),
    ]);
  });
});

describe('the table of declared differences', () => {
  test('must tell every difference, once, with a reason, and no other', () => {
    expect(judge(['a', 'b'], [{ reason: 'because', differences: ['a', 'b'] }])).toEqual([]);
    expect(judge(['a', 'b'], [{ reason: 'because', differences: ['a'] }])).toEqual(['not declared: b']);
    expect(judge(['a'], [{ reason: 'because', differences: ['a', 'b'] }])).toEqual(['declared, but no longer so: b']);
    expect(
      judge(
        ['a'],
        [
          { reason: 'x', differences: ['a'] },
          { reason: 'y', differences: ['a'] },
        ],
      ),
    ).toEqual(['declared twice: a']);
    expect(judge(['a'], [{ reason: ' ', differences: ['a'] }])).toEqual(['declared without a reason: a']);
  });
});
