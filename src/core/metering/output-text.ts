/**
 * The text that a model produced, from a parsed answer or stream chunk, for estimating output where no usage is reported.
 */

/**
 * All produced text of one chat chunk, chat answer, completion, Responses event, or event or answer of Anthropic's Messages API: contents,
 * reasoning, refusals, names and arguments of tool calls. Empty for anything else. Never throws.
 */
export function outputText(answer: unknown): string {
  const top = asObject(answer);
  if (top === null) return '';
  const parts: string[] = [];
  for (const choice of asArray(top['choices'])) {
    const fields = asObject(choice);
    if (fields === null) continue;
    addText(parts, fields['text']);
    addMessage(parts, fields['delta']);
    addMessage(parts, fields['message']);
  }
  // Responses: deltas of any kind (text, refusal, arguments, reasoning) carry their text in `delta`.
  addText(parts, top['delta']);
  for (const item of asArray(top['output'])) addOutputItem(parts, item);
  // Messages: blocks of a whole answer, the beginning of one in a stream, and what is added to it.
  for (const block of asArray(top['content'])) addBlock(parts, block);
  addBlock(parts, top['content_block']);
  addBlock(parts, top['delta']);
  return parts.join('');
}

function addMessage(parts: string[], message: unknown): void {
  const fields = asObject(message);
  if (fields === null) return;
  addText(parts, fields['reasoning_content']);
  addText(parts, fields['reasoning']);
  addContent(parts, fields['content']);
  addText(parts, fields['refusal']);
  addFunction(parts, fields['function_call']);
  for (const call of asArray(fields['tool_calls'])) addFunction(parts, asObject(call)?.['function']);
}

function addOutputItem(parts: string[], item: unknown): void {
  const fields = asObject(item);
  if (fields === null) return;
  addContent(parts, fields['content']);
  addFunction(parts, fields);
}

/** A block of a message, or a part of one. Its signature is the upstream's, not the model's. */
function addBlock(parts: string[], block: unknown): void {
  const fields = asObject(block);
  if (fields === null) return;
  for (const field of ['text', 'thinking', 'partial_json', 'name'] as const) addText(parts, fields[field]);
  const input = asObject(fields['input']);
  // In a stream it begins empty and comes in parts.
  if (input !== null && Object.keys(input).length > 0) parts.push(JSON.stringify(input));
}

function addContent(parts: string[], content: unknown): void {
  addText(parts, content);
  for (const part of asArray(content)) addText(parts, asObject(part)?.['text']);
}

function addFunction(parts: string[], call: unknown): void {
  const fields = asObject(call);
  if (fields === null) return;
  addText(parts, fields['name']);
  addText(parts, fields['arguments']);
}

function addText(parts: string[], value: unknown): void {
  if (typeof value === 'string') parts.push(value);
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}
