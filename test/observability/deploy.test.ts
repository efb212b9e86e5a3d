import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { familiesOf, makeMetrics } from '../../src/telemetry/metrics/metrics.ts';
import { makeTestFolder } from '../server/in-process.ts';
import { parseExposition, type Scraped } from './exposition.ts';

const deploy = (path: string): string => readFileSync(join(import.meta.dirname, '../../deploy', path), 'utf8');

/** What a query names: metrics with the labels that it asks them for, and labels that it groups by. */
interface Query {
  readonly selectors: readonly {
    readonly metric: string;
    readonly matchers: readonly { readonly label: string; readonly value: string }[];
  }[];
  readonly groupings: readonly string[];
}

/** Reads a query by Prometheus's own grammar; throws where it is none. */
function readQuery(text: string): Query {
  const query = text.replaceAll('$__rate_interval', '5m');
  const selectors: { metric: string; matchers: { label: string; value: string }[] }[] = [];
  const groupings: string[] = [];
  parser.parse(query).iterate({
    enter: (node) => {
      const textOf = (): string => query.slice(node.from, node.to);
      if (node.type.isError) throw new Error(`no query at ${node.from}: ${query}`);
      if (node.name === 'VectorSelector') {
        const metric = node.node.getChild('Identifier');
        selectors.push({ metric: metric === null ? '' : query.slice(metric.from, metric.to), matchers: [] });
      }
      if (node.name === 'UnquotedLabelMatcher') {
        const [, label = '', value = ''] = /^(\w+)\s*(?:=|!=|=~|!~)\s*"(.*)"$/.exec(textOf()) ?? [];
        selectors.at(-1)?.matchers.push({ label, value });
      }
      if (node.name === 'GroupingLabels')
        groupings.push(
          ...textOf()
            .slice(1, -1)
            .split(',')
            .map((label) => label.trim()),
        );
    },
  });
  return { selectors, groupings };
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}
const { groups } = parse(deploy('prometheus/alerts.yml')) as {
  groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly legendFormat: string }[];
}
const dashboard = JSON.parse(deploy('grafana/castellan.json')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
};
const targets = dashboard.panels.flatMap(({ title, targets: all = [] }) => all.map((target) => ({ title, ...target })));

/** Labels of every metric by the names of its series, those of scraping included. */
const ofScraping = ['instance', 'job'];
let scraped: Scraped;
const folder = makeTestFolder();
beforeAll(async () => {
  const { listeners, prepared } = await folder.start();
  const headers = { 'x-admin-api-key': prepared.credentials.operator_key };
  scraped = parseExposition(await (await fetch(`${listeners.admin.origin}/metrics`, { headers })).text());
});
afterAll(() => folder.dispose());

function labelsOf(series: string): readonly string[] | undefined {
  if (series === 'up') return ofScraping;
  const suffix = /_(bucket|sum|count)$/.exec(series)?.[0];
  const isHistogram = suffix !== undefined && scraped.types.get(series.slice(0, -suffix.length)) === 'histogram';
  const name = isHistogram ? series.slice(0, -suffix.length) : series;
  if (!scraped.types.has(name) || (scraped.types.get(name) === 'histogram' && !isHistogram)) return undefined;
  const own = familiesOf(makeMetrics({ tenantLabels: false })).find((family) => family.name === name)?.labels ?? [];
  return [...own, ...ofScraping, ...(suffix === '_bucket' ? ['le'] : [])];
}

/** What a query gets wrong about our metrics. */
function mistakes(expr: string): string[] {
  const { selectors, groupings } = readQuery(expr);
  if (selectors.length === 0) return ['names no metric'];
  const events = scraped.series('castellan_gateway_events_total').map(({ event }) => event);
  return selectors.flatMap(({ metric, matchers }) => {
    const labels = labelsOf(metric);
    if (labels === undefined) return [`${metric} is no metric`];
    const wrong = [...matchers.map(({ label }) => label), ...groupings].filter((label) => !labels.includes(label));
    const unknown = matchers
      .filter(({ label }) => label === 'event')
      .flatMap(({ value }) => value.split('|'))
      .filter((event) => !events.includes(event));
    return [...wrong.map((label) => `${metric} has no label ${label}`), ...unknown.map((event) => `there is no event ${event}`)];
  });
}

describe('the check of queries', () => {
  test.each([
    ['castellan_dragons_total', ['castellan_dragons_total is no metric']],
    ['sum by (tenant) (rate(castellan_tokens_total[5m]))', ['castellan_tokens_total has no label tenant']],
    ['castellan_ready{dragon="1"}', ['castellan_ready has no label dragon']],
    ['castellan_hold_seconds', ['castellan_hold_seconds is no metric']],
    ['rate(castellan_gateway_events_total{event="dragon"}[5m])', ['there is no event dragon']],
    ['castellan_ready == 0', []],
  ])('finds what is wrong with %s', (expr, found) => {
    expect(mistakes(expr)).toEqual(found);
  });

  test.each(['sum(rate(castellan_tokens_total[5m])', 'castellan_ready ==', 'rate(castellan_tokens_total[5 minutes])'])(
    'refuses %s',
    (expr) => {
      expect(() => readQuery(expr)).toThrow(/no query/);
    },
  );
});

describe('the alert rules', () => {
  test('have names of their own', () => {
    expect(rules.length).toBeGreaterThan(10);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  test.each(rules.map((rule) => [rule.alert, rule] as const))('%s asks for metrics that exist, and says what to do', (alert, rule) => {
    expect(alert).toMatch(/^Castellan[A-Z]\w+$/);
    expect(mistakes(rule.expr)).toEqual([]);
    expect(['page', 'ticket']).toContain(rule.labels.severity);
    expect(rule.for ?? '0m').toMatch(/^\d+[smh]$/);
    expect(rule.annotations.summary).not.toBe('');
    expect(rule.annotations.description).toMatch(/\.$/);
    // A label that the expression does not keep would show as an empty word.
    const { groupings } = readQuery(rule.expr);
    const used = Array.from(
      Object.values(rule.annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g),
      ([, label = '']) => label,
    );
    if (groupings.length > 0) expect(used.filter((label) => !groupings.includes(label))).toEqual([]);
  });
});

describe('the dashboard', () => {
  test.each(targets.map((target) => [`${target.title} ${target.refId}`, target] as const))(
    '%s asks for metrics that exist',
    (_name, target) => {
      expect(mistakes(target.expr)).toEqual([]);
      const used = Array.from(target.legendFormat.matchAll(/\{\{(\w+)\}\}/g), ([, label = '']) => label);
      const { groupings } = readQuery(target.expr);
      if (groupings.length > 0) for (const label of used) expect(groupings).toContain(label);
    },
  );

  test('shows every metric of ours but those of the parts of the processor time and the like', () => {
    const shown = new Set(
      targets.flatMap(({ expr }) => readQuery(expr).selectors.map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, ''))),
    );
    const missing = familiesOf(makeMetrics({ tenantLabels: false })).filter(({ name }) => !shown.has(name));
    expect(missing.map(({ name }) => name)).toEqual([
      'castellan_holds_refused_total',
      'castellan_failed_credentials_total',
      'castellan_trace_spans_total',
    ]);
  });

  test('has panels that do not overlap, with ids of their own, over one data source that is chosen at import', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const taken = new Set<string>();
    const misplaced = new Set<string>();
    for (const { gridPos, title } of dashboard.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          if (x >= 24 || taken.has(`${x} ${y}`)) misplaced.add(title);
          taken.add(`${x} ${y}`);
        }
      }
    }
    expect([...misplaced]).toEqual([]);
    expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
      ['datasource', 'datasource'],
      ['instance', 'query'],
    ]);
    const sources = deploy('grafana/castellan.json').match(/"uid": "[^"]+"/g);
    expect(new Set(sources)).toEqual(new Set(['"uid": "castellan"', '"uid": "${datasource}"']));
  });
});
