import { mergeMessagesReports, readMessagesReport, usageOfMessages, type MessagesReport } from './messages-usage.ts';
import type { TokenUsage } from './token-usage.ts';

/** Events without these words need no parse: text, pings, and the ends of blocks. */
const HINT = /"usage"|"message_stop"/;

/** What one event meant. `restart`: it counts all output up to now. */
export type MessagesEvent = 'terminal' | 'restart' | 'other';

/**
 * Meters the events of a stream of Anthropic's Messages API: `message_start` brings the prompt's counts, each `message_delta` cumulative
 * ones of which the last nonzero value stands, and `message_stop` ends it. An `error` event ends nothing by itself: what the model wrote
 * until then is not in any report.
 */
export class MessagesStream {
  #report: MessagesReport | null = null;
  #isFinal = false;

  /** Usage reported so far, or null. */
  get usage(): TokenUsage | null {
    return this.#report === null ? null : usageOfMessages(this.#report);
  }

  /** Whether the report counts the output: the one at the start of the stream was made before there was any. */
  get isFinal(): boolean {
    return this.#isFinal;
  }

  /** Whether an event with this JSON text has to be parsed and given to {@link MessagesStream.take}. */
  wants(text: string): boolean {
    return HINT.test(text);
  }

  /** Takes one parsed event. */
  take(event: Readonly<Record<string, unknown>>): MessagesEvent {
    const { type } = event;
    if (type === 'message_stop') return 'terminal';
    const isStart = type === 'message_start';
    const message = isStart ? (event['message'] as { readonly usage?: unknown } | null | undefined) : event;
    const report = readMessagesReport(message?.['usage']);
    if (report === null) return 'other';
    this.#report = mergeMessagesReports(this.#report, report);
    if (isStart || report.own.output === null) return 'other';
    this.#isFinal = true;
    return 'restart';
  }
}
