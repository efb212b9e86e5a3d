import type { CreditBill } from '../../app/bills/read-bill.ts';
import type { BillCorrection, Statement, StatementLine, UsageLine } from '../../core/bills/bill-records.ts';
import { convertedMicrocents } from '../../core/bills/convert.ts';
import { monthRange, type Month } from '../../core/bills/month.ts';
import { PRICE_CURRENCY, renderPerUsd } from '../../core/pricing/currency.ts';
import { displayedAmount } from '../../core/pricing/displayed-amount.ts';
import { html, type Html } from '../_shared/html.ts';
import { amountText, countText, decimalsFor } from './amounts.ts';
import { BILL_STYLE } from './style.ts';

/** Who issues the bills, as the operator wants it to stand on them: a name, and lines such as an address. */
export interface Issuer {
  readonly name: string;
  readonly lines: readonly string[];
}

/** All that a statement's page shows. `laterCorrections` were made for it after it was issued, and stand on other statements. */
export interface StatementView {
  readonly statement: Statement;
  readonly lines: readonly StatementLine[];
  readonly laterCorrections: readonly BillCorrection[];
  readonly issuer: Issuer | null;
}

const MICROCENTS_PER_CENT = 1_000_000n;

const MONTHS = 'January February March April May June July August September October November December'.split(' ');

const monthText = (month: Month): string => `${MONTHS[Number(month.slice(5)) - 1] ?? ''} ${month.slice(0, 4)}`;

const dayText = (ms: number): string => {
  const date = new Date(ms);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()] ?? ''} ${date.getUTCFullYear()}`;
};

const periodText = (month: Month): string => {
  const { fromMs, toMs } = monthRange(month);
  return `${new Date(fromMs).getUTCDate()} to ${dayText(toMs - 1)}`;
};

const page = (title: string, content: Html): string =>
  `<!doctype html>\n${
    html`<html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex, nofollow" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        ${STYLE_ELEMENT}
      </head>
      <body>
        <main>${content}</main>
      </body>
    </html>`.html
  }`;

const STYLE_ELEMENT: Html = { html: `<style>${BILL_STYLE}</style>` };

const issuerPart = (issuer: Issuer | null): Html | null =>
  issuer === null
    ? null
    : html`<div class="issuer"><strong>${issuer.name}</strong>${issuer.lines.map((line) => html`<br />${line}`)}</div>`;

/** The total to the cent, in the tenant's currency where it is shown in one. */
function totalText({ totalMicrocents, converted }: Statement): string {
  const amount = displayedAmount(BigInt(converted?.totalMicrocents ?? totalMicrocents));
  return `${amountText(BigInt(Math.round(amount * 100)) * MICROCENTS_PER_CENT)} ${converted?.currency ?? PRICE_CURRENCY}`;
}

const fact = (name: string, value: string): Html =>
  html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;

/** The page of a statement. Whatever tenants have named is text here, never markup. */
export function statementPage({ statement, lines, laterCorrections, issuer }: StatementView): string {
  const decimals = decimalsFor(lines.map(({ chargeMicrocents }) => BigInt(chargeMicrocents)));
  const own = lines.filter((line) => line.kind === 'usage' && line.month === statement.month);
  const late = lines.filter((line): line is UsageLine => line.kind === 'usage' && line.month !== statement.month);
  const corrections = lines.filter((line) => line.kind === 'correction');
  const lateMonths = [...new Set(late.map(({ month }) => month))];
  return page(
    `Statement ${statement.number}`,
    html`<div class="head">
        <div>
          <h1>Statement</h1>
          <p class="number">${statement.number}</p>
        </div>
        ${issuerPart(issuer)}
      </div>
      <dl class="facts">
        ${fact('For', statement.tenantName)} ${fact('Period (UTC)', periodText(statement.month))}
        ${fact('Issued', dayText(statement.issuedAtMs))} ${fact('Total', totalText(statement))}
      </dl>
      ${own.length === 0 ? null : usageTable(`Usage in ${monthText(statement.month)}`, own as UsageLine[], decimals)}
      ${lateMonths.map((month) =>
        usageTable(
          `Told late: usage in ${monthText(month)}`,
          late.filter((line) => line.month === month),
          decimals,
        ),
      )}
      ${corrections.length === 0 ? null : correctionTable(corrections, decimals)} ${sums(statement, lines, decimals)}
      ${laterCorrections.length === 0 ? null : laterNote(laterCorrections)}
      <footer>
        <p>
          Amounts are exact. Each request is charged its cost, rounded up once to a millionth of a cent; a line is the sum of its requests,
          and the total the sum of its lines.
        </p>
        ${
          statement.converted === undefined
            ? null
            : html`<p>
                Prices are in USD. In ${statement.converted.currency} each day is shown by the rate that applied when it began, and each
                line is rounded to a millionth of a cent; a prepaid balance was debited for each request by the rate of that moment, rounded
                up once.
              </p>`
        }
        <p>An issued statement never changes. SHA-256 <code>${statement.hash}</code></p>
      </footer>`,
  );
}

function usageTable(title: string, lines: readonly UsageLine[], decimals: number): Html {
  const groups = [...Map.groupBy(lines, ({ keyId }) => keyId).values()];
  return html`<h2>${title}</h2>
    <div class="wide">
      <table class="usage">
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col" class="figure">Requests</th>
            <th scope="col" class="figure">Tokens in</th>
            <th scope="col" class="figure">Tokens out</th>
            <th scope="col" class="figure">USD</th>
          </tr>
        </thead>
        ${groups.map((group) => keyGroup(group, decimals))}
      </table>
    </div>`;
}

const keyGroup = (lines: readonly UsageLine[], decimals: number): Html =>
  html`<tbody>
    <tr class="group">
      <th colspan="5" scope="colgroup"><span class="soft">Key</span> ${lines[0]?.keyName ?? ''}</th>
    </tr>
    ${lines.map(
      (line) =>
        html`<tr>
          <td>${line.model}${line.fromMs === undefined ? null : html` <span class="soft">from ${dayText(line.fromMs)}</span>`}</td>
          <td class="figure">${countText(line.requests)}</td>
          <td class="figure">${countText(line.promptTokens)}</td>
          <td class="figure">${countText(line.completionTokens)}</td>
          <td class="figure">${amountText(BigInt(line.chargeMicrocents), decimals)}</td>
        </tr>`,
    )}
  </tbody>`;

const correctionTable = (lines: readonly Extract<StatementLine, { kind: 'correction' }>[], decimals: number): Html =>
  html`<h2>Corrections</h2>
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th scope="col">Reason</th>
            <th scope="col">Date</th>
            <th scope="col">Concerns</th>
            <th scope="col" class="figure">USD</th>
          </tr>
        </thead>
        <tbody>
          ${lines.map(
            ({ reason, atMs, concerns, chargeMicrocents }) =>
              html`<tr>
                <td>${reason}</td>
                <td class="whole">${dayText(atMs)}</td>
                <td class="whole">${concerns ?? ''}</td>
                <td class="figure">${amountText(BigInt(chargeMicrocents), decimals)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;

function sums(statement: Statement, lines: readonly StatementLine[], decimals: number): Html {
  const total = BigInt(statement.totalMicrocents);
  const sumOf = (kind: StatementLine['kind']): bigint =>
    lines.reduce((sum, line) => (line.kind === kind ? sum + BigInt(line.chargeMicrocents) : sum), 0n);
  const parts: [string, bigint][] = [
    ['Usage', sumOf('usage')],
    ['Corrections', sumOf('correction')],
  ];
  const hasParts = lines.some(({ kind }) => kind === 'correction');
  return html`<div class="sums">
    <table>
      ${hasParts ? parts.map(([name, sum]) => sumRow(name, sum, decimals)) : null}
      <tr class="total">
        <td>Total</td>
        <td class="figure">${amountText(total, decimals)} USD</td>
      </tr>
      ${convertedRows(statement, lines, decimals)}
    </table>
  </div>`;
}

/** The total in the tenant's currency: what was charged by each rate, and their sum. */
function convertedRows({ converted }: Statement, lines: readonly StatementLine[], decimals: number): Html | null {
  if (converted === undefined) return null;
  const { currency } = converted;
  const byRate = [...Map.groupBy(lines, ({ perUsdNanos }) => perUsdNanos ?? 0)];
  return html`${byRate.map(([perUsdNanos, ofRate]) => {
      const charges = ofRate.map(({ chargeMicrocents }) => BigInt(chargeMicrocents));
      const sum = charges.reduce((all, charge) => all + convertedMicrocents(charge, perUsdNanos), 0n);
      const usd = charges.reduce((all, charge) => all + charge, 0n);
      return sumRow(`${amountText(usd, decimals)} USD at ${renderPerUsd(perUsdNanos)} ${currency}`, sum, decimals);
    })}
    <tr class="total">
      <td>Total in ${currency}</td>
      <td class="figure">${amountText(BigInt(converted.totalMicrocents), decimals)} ${currency}</td>
    </tr>`;
}

const sumRow = (name: string, sum: bigint, decimals: number): Html =>
  html`<tr>
    <td>${name}</td>
    <td class="figure">${amountText(sum, decimals)}</td>
  </tr>`;

const laterNote = (corrections: readonly BillCorrection[]): Html =>
  html`<section class="note">
    <h2>Corrected later</h2>
    <ul>
      ${corrections.map(
        ({ createdAtMs, reason, chargeMicrocents }) =>
          html`<li>${dayText(createdAtMs)}: ${amountText(BigInt(chargeMicrocents))} USD, ${reason}</li>`,
      )}
    </ul>
    <p class="soft">These stand on other statements and are not part of the total above.</p>
  </section>`;

/** The page of a credit: what was paid into a prepaid balance, or taken back. */
export function creditPage({ credit, tenantName }: Omit<CreditBill, 'kind'>, issuer: Issuer | null): string {
  const amount = BigInt(credit.microcents);
  const title = amount < 0n ? 'Taken back' : 'Receipt';
  return page(
    `${title} ${credit.id}`,
    html`<div class="head">
        <div>
          <h1>${title}</h1>
          <p class="number">${credit.id}</p>
        </div>
        ${issuerPart(issuer)}
      </div>
      <dl class="facts">${fact('For', tenantName)} ${fact('Date', dayText(credit.createdAtMs))}</dl>
      <h2>Prepaid balance</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Reason</th>
            <th scope="col" class="figure">${credit.currency}</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <td>${credit.reason}</td>
            <td class="figure">${amountText(amount)}</td>
          </tr>
        </tbody>
      </table>
      <div class="sums">
        <table>
          <tr class="total">
            <td>Total</td>
            <td class="figure">${amountText(amount)} ${credit.currency}</td>
          </tr>
        </table>
      </div>
      <footer><p>This line of the balance never changes; a mistake is put right by another line.</p></footer>`,
  );
}

/** What is shown where there is no bill, or no longer one, under an address. */
export const missingPage = (): string =>
  page(
    'No bill here',
    html`<h1>No bill here</h1>
      <p>The link is not whole, or it was taken back. Ask whoever sent it for another one.</p>`,
  );
