import type { EventObserver } from '../../app/events/event-services.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';

/** Counts events and deliveries under the names that alert rules of the Cycles reference servers know, and under ours. */
export function observeEvents(metrics: Metrics): EventObserver {
  const attempts = metrics.webhookAttempts.cell();
  const latency = metrics.webhookLatency.of();
  const ended = {
    SUCCESS: metrics.webhookSuccess.cell(),
    FAILED: metrics.webhookFailed.cell(),
    RETRYING: metrics.webhookRetried.cell(),
  } as const;
  const stale = metrics.webhookStale.cell();
  const disabled = metrics.webhookDisabled.cell();
  const emitted = metrics.eventsEmitted.cell();
  const dispatched = metrics.webhookDispatched.cell();
  return {
    attempted: ({ status, tookMs }) => {
      attempts.value += 1;
      ended[status].value += 1;
      if (tookMs !== null) latency.observe(tookMs / 1000);
    },
    stale: () => (stale.value += 1),
    disabled: () => (disabled.value += 1),
    handedOut: ({ events, deliveries }) => {
      emitted.value += events;
      dispatched.value += deliveries;
    },
  };
}
