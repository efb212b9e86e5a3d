/** The model that tests call: priced, on the tests' own model server. */
export const TEST_MODEL = 'test-model';

/** USD for a million tokens. */
export const TEST_PRICE = { inputPer1m: 2, outputPer1m: 10 };

/** A credential of the model server, which nobody but it may ever see. */
export const UPSTREAM_KEY = 'sk-upstream-canary-4Qm7Zt2Lw9Xc';

/** A configuration file with one model on the server at `upstreamUrl`; `extra` is appended as it is. */
export const testConfig = (upstreamUrl: string, extra = ''): string => `
upstreams:
  - { id: own, base_url: "${upstreamUrl}", api_key: "${UPSTREAM_KEY}" }
models:
  - id: ${TEST_MODEL}
    upstreams: [{ id: own, model: ${TEST_MODEL} }]
    price: { input_per_1m: ${TEST_PRICE.inputPer1m}, output_per_1m: ${TEST_PRICE.outputPer1m} }
    context_tokens: 131072
    max_output_tokens: 4096
    default_output_tokens: 256
    prompt_overhead_tokens: 16
    margin_percent: 0
${extra}`;

/** A chat request to the test's model; the model server repeats `text`. */
export const chatBody = (text: string, extra: object = {}): Record<string, unknown> => ({
  model: TEST_MODEL,
  messages: [{ role: 'user', content: text }],
  max_tokens: 64,
  ...extra,
});
