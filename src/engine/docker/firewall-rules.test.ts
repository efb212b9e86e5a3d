import { describe, expect, test } from 'vitest';
import { ourPart, restoreInput, rulesV4 } from './firewall-rules.ts';

const HOOKS = [
  { from: 'DOCKER-USER', to: 'CASTELLAN-FORWARD' },
  { from: 'INPUT', to: 'CASTELLAN-INPUT' },
];
const RULES = { forward: ['-i a -j RETURN'], input: ['-i b -j RETURN'] };
const movesOf = (saved: string): string[] =>
  restoreInput(saved, RULES, HOOKS)
    .split('\n')
    .filter((line) => line.startsWith('-I') || line.startsWith('-D'));

describe('a table is brought to our rules', () => {
  test('with both chains filled anew and both hooks put first', () => {
    expect(restoreInput('', RULES, HOOKS)).toBe(
      [
        '*filter',
        ':CASTELLAN-FORWARD - [0:0]',
        ':CASTELLAN-INPUT - [0:0]',
        '-A CASTELLAN-FORWARD -i a -j RETURN',
        '-A CASTELLAN-INPUT -i b -j RETURN',
        '-I DOCKER-USER 1 -j CASTELLAN-FORWARD',
        '-I INPUT 1 -j CASTELLAN-INPUT',
        'COMMIT',
        '',
      ].join('\n'),
    );
  });

  test('without a move where the hooks are first', () => {
    expect(movesOf('-A DOCKER-USER -j CASTELLAN-FORWARD\n-A DOCKER-USER -j RETURN\n-A INPUT -j CASTELLAN-INPUT')).toEqual([]);
  });

  test('with a hook taken from wherever it stands, as often as it does', () => {
    const saved = [
      '-A DOCKER-USER -j CASTELLAN-FORWARD',
      '-A INPUT -j ACCEPT',
      '-A INPUT -j CASTELLAN-INPUT',
      '-A INPUT -j CASTELLAN-INPUT',
    ];
    expect(movesOf(saved.join('\n'))).toEqual([
      '-D INPUT -j CASTELLAN-INPUT',
      '-D INPUT -j CASTELLAN-INPUT',
      '-I INPUT 1 -j CASTELLAN-INPUT',
    ]);
  });

  test('again when something of ours changed, and only then', () => {
    const saved = ':INPUT ACCEPT [0:0]\n-A INPUT -j CASTELLAN-INPUT\n-A INPUT -j OTHER\n-A CASTELLAN-INPUT -i b -j RETURN';
    expect(ourPart(`${saved}\n-A FORWARD -j MINE`, HOOKS)).toBe(ourPart(saved, HOOKS));
    expect(ourPart(saved.replace('-i b', '-i c'), HOOKS)).not.toBe(ourPart(saved, HOOKS));
    expect(ourPart(saved.replace('-A INPUT -j CASTELLAN-INPUT\n', ''), HOOKS)).not.toBe(ourPart(saved, HOOKS));
  });
});

test('exceptions stand before what they are exceptions of, for open bridges only', () => {
  const { forward, input } = rulesV4({ allow: ['10.1.0.0/16'], dns: ['192.168.1.1'] });
  for (const chain of [forward, input]) {
    const allowed = chain.indexOf('-i cso-+ -d 10.1.0.0/16 -j RETURN');
    const refused = chain.findIndex((rule) => /^-i cso-\+ (?:-d 10\.0\.0\.0\/8 )?-j REJECT/.test(rule));
    expect(allowed).toBeGreaterThan(-1);
    expect(allowed).toBeLessThan(refused);
    expect(chain.filter((rule) => rule.includes('--dport 53')).map((rule) => rule.split(' ').slice(0, 6).join(' '))).toEqual([
      '-i cso-+ -d 192.168.1.1 -p udp',
      '-i cso-+ -d 192.168.1.1 -p tcp',
    ]);
  }
  // An exception is no way from one deployment to another.
  expect(forward.findIndex((rule) => rule.startsWith('-i cso-+ -o cso-+ -j REJECT'))).toBeLessThan(
    forward.indexOf('-i cso-+ -d 10.1.0.0/16 -j RETURN'),
  );
});
