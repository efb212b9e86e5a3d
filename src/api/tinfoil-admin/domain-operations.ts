import Type from 'typebox';
import { named, object, orNull, Timestamp, type Operations } from '../_shared/openapi/operation.ts';

const Text = Type.String();

const Domain = named(
  'Domain',
  object({
    id: Text,
    domain: Text,
    verification_nonce: Text,
    cname_hash: Type.String({ description: '32 digits: the label of `cname_target`.' }),
    verified: Type.Boolean({ description: 'The TXT record alone decides.' }),
    verified_at: orNull(Timestamp),
    created_at: Timestamp,
    used_by: Type.Array(Text, { description: 'The names of the containers that use it.' }),
    txt_record_host: Text,
    txt_record_value: Text,
    cname_target: Text,
    cname_configured: orNull(Type.Boolean(), 'Whether the domain leads there; null where DNS was not just asked, or did not answer.'),
    checked_at: orNull(Timestamp, 'When DNS last told of it.'),
    missing_since: orNull(Timestamp, 'Since when the TXT record of a verified domain is not found.'),
    check_error: orNull(Text, 'Why DNS could not be asked just now.'),
  }),
);

const path = { domain: 'The domain.' };

/** What the document tells about domains. */
export const DOMAIN_OPERATIONS: Operations = {
  'GET /api/domains': {
    id: 'listDomains',
    summary: 'List custom domains',
    answers: { 200: { description: 'By name.', schema: Type.Array(Domain) } },
  },
  'POST /api/domains': {
    id: 'createDomain',
    summary: 'Add a domain',
    description: 'In lower-case ASCII, of two labels or more. The answer has the records that are to be set.',
    answers: { 201: { description: 'The domain, not verified yet.', schema: Domain } },
    errors: [409],
  },
  'POST /api/domains/:domain/verify': {
    id: 'verifyDomain',
    summary: 'Ask DNS whether a domain is proved',
    description: 'Where DNS does not answer nothing changes, and `check_error` says why.',
    path,
    answers: { 200: { description: 'The domain, verified or not.', schema: Domain } },
    errors: [404, 409],
  },
  'DELETE /api/domains/:domain': {
    id: 'deleteDomain',
    summary: 'Delete a domain',
    description: 'Not while containers use it: they are named in `error`, and as `containers`.',
    path,
    answers: { 200: { description: 'It is deleted.', schema: object({ message: Text }) } },
    errors: [404, 409],
  },
};
