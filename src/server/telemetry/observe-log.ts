import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import type { ProcessLog } from '../logging.ts';

/** The log, with its warnings and errors counted beside it: whatever goes wrong is told there. */
export function observeLog(log: ProcessLog, metrics: Metrics): ProcessLog {
  const [warnings, errors] = [metrics.logLines.cell('warn'), metrics.logLines.cell('error')];
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => {
      warnings.value += 1;
      log.warn(fields, message);
    },
    error: (fields, message) => {
      errors.value += 1;
      log.error(fields, message);
    },
    flush: () => log.flush(),
  };
}
