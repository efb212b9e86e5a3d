/**
 * The words of the Encrypted HTTP Body Protocol (EHBP): headers stay readable, bodies are sealed by HPKE (RFC 9180) with X25519, HKDF-SHA256 and
 * AES-256-GCM. Source: EHBP specification, sections 3 to 5. Names of headers in lower case.
 */
export const ENCAPSULATED_KEY_HEADER = 'ehbp-encapsulated-key';
/** With it an answer is sealed, without it it is not. */
export const RESPONSE_NONCE_HEADER = 'ehbp-response-nonce';
/** Names the upstream that a sealed body is for; without it the body is for this server. */
export const ENCLAVE_URL_HEADER = 'x-tinfoil-enclave-url';
/** Names the model that a sealed body asks for, so that the call is held and routed by it. Our extension. */
export const SEALED_MODEL_HEADER = 'x-castellan-model';
/** Where what an enclave is verified by is told. Source: Tinfoil reference, section 6, "Relay". */
export const ATTESTATION_PATH = '/attestation';
/** Where the public key is told. Source: EHBP specification, section 3.1. */
export const HPKE_KEYS_PATH = '/.well-known/hpke-keys';
/** The type of what is told there. Source: RFC 9458, section 3. */
export const HPKE_KEYS_TYPE = 'application/ohttp-keys';
/** The type of the problem that a client mends by fetching the public key again. Source: EHBP specification, section 5.4.2. */
export const STALE_KEY_PROBLEM = 'urn:ietf:params:ehbp:error:key-config';

/** What HPKE's context of a request is bound to. */
export const REQUEST_INFO = 'ehbp request';
/** What the secret of an answer is exported for. */
export const ANSWER_LABEL = 'ehbp response';

/** Length of an X25519 key, of what encapsulates one, and of the secret and the nonce of an answer. */
export const KEY_BYTES = 32;
/** Length of the tag that ends each ciphertext. */
export const TAG_BYTES = 16;

const ENCAPSULATED_KEY = /^[0-9a-f]{64}$/i;

/** Whether a header's value is an encapsulated key in hex. A doubled header is none. */
export const isEncapsulatedKey = (value: unknown): value is string => typeof value === 'string' && ENCAPSULATED_KEY.test(value);
