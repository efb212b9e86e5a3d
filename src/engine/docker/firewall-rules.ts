/** Names of bridges begin with these, by what may leave through them. The rules know no other thing of a deployment. */
export const OPEN_BRIDGES = 'cso-';
export const CLOSED_BRIDGES = 'csc-';

/** Chains of our own in the table `filter`. */
export const FORWARD_CHAIN = 'CASTELLAN-FORWARD';
export const INPUT_CHAIN = 'CASTELLAN-INPUT';

/** What the operator lets containers of this host reach though it is private, and their resolvers. */
export interface FirewallExceptions {
  /** Blocks of IPv4 addresses, such as `10.1.2.0/24`. */
  readonly allow: readonly string[];
  /** IPv4 addresses of resolvers, of which port 53 is within reach. */
  readonly dns: readonly string[];
}

/**
 * Blocks of addresses that are not the internet: private ones, link-local ones (where clouds keep the credentials of a machine), shared ones,
 * this host, and what is for nobody. Source: the IANA IPv4 Special-Purpose Address Registry.
 */
const NOT_THE_INTERNET: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/** Answered at once, so that a program that tries fails instead of waiting. */
const REFUSE_V4 = '-j REJECT --reject-with icmp-admin-prohibited';
const REFUSE_V6 = '-j REJECT --reject-with icmp6-adm-prohibited';
const OPEN = `-i ${OPEN_BRIDGES}+`;
const CLOSED = `-i ${CLOSED_BRIDGES}+`;
const ANSWERS = '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN';
/** Between members of one bridge: seen here only where the kernel filters bridges too. */
const SAME_BRIDGE = '-m physdev --physdev-is-bridged -j RETURN';

/**
 * Rules of the two chains for IPv4, in order; what falls off the end goes on to the host's own rules.
 *
 * Through the host: members of one bridge reach each other, answers pass, closed bridges begin nothing, open ones reach the exceptions and then
 * no special block of addresses and no other bridge of ours. To the host itself: answers, and the exceptions from open bridges; nothing else.
 */
export function rulesV4({ allow, dns }: FirewallExceptions): { readonly forward: readonly string[]; readonly input: readonly string[] } {
  const exceptions = [
    ...allow.map((block) => `${OPEN} -d ${block} -j RETURN`),
    ...dns.flatMap((address) => ['udp', 'tcp'].map((protocol) => `${OPEN} -d ${address} -p ${protocol} --dport 53 -j RETURN`)),
  ];
  return {
    forward: [
      SAME_BRIDGE,
      ...[OPEN, CLOSED].map((bridge) => `${bridge} ${ANSWERS}`),
      `${CLOSED} ${REFUSE_V4}`,
      ...[OPEN_BRIDGES, CLOSED_BRIDGES].map((other) => `${OPEN} -o ${other}+ ${REFUSE_V4}`),
      ...exceptions,
      ...NOT_THE_INTERNET.map((block) => `${OPEN} -d ${block} ${REFUSE_V4}`),
    ],
    input: [
      ...[OPEN, CLOSED].map((bridge) => `${bridge} ${ANSWERS}`),
      ...exceptions,
      ...[OPEN, CLOSED].map((bridge) => `${bridge} ${REFUSE_V4}`),
    ],
  };
}

/** The same for IPv6, which no bridge of ours has: nothing passes but between members of one bridge. */
export const RULES_V6: { readonly forward: readonly string[]; readonly input: readonly string[] } = {
  forward: [SAME_BRIDGE, ...[OPEN, CLOSED].map((bridge) => `${bridge} ${REFUSE_V6}`)],
  input: [OPEN, CLOSED].map((bridge) => `${bridge} ${REFUSE_V6}`),
};

/** Where a chain of ours is jumped to from: it must be the first rule there. */
export interface Hook {
  readonly from: string;
  readonly to: string;
}

/** Rules of one chain as `iptables-save` prints them. */
const chainOf = (saved: string, chain: string): readonly string[] => saved.split('\n').filter((line) => line.startsWith(`-A ${chain} `));

/** What of a table `iptables-save` printed is ours: the chains' rules, and whether each hook is first. Two equal ones need no change between. */
export function ourPart(saved: string, hooks: readonly Hook[]): string {
  const own = [FORWARD_CHAIN, INPUT_CHAIN].flatMap((chain) => chainOf(saved, chain));
  return [...own, ...hooks.map((hook) => chainOf(saved, hook.from)[0] ?? '')].join('\n');
}

/**
 * What `iptables-restore --noflush` is given to bring a table from `saved` to our rules, in one step: the chains are filled anew, and each hook
 * becomes the first rule of its chain and stands there once.
 */
export function restoreInput(
  saved: string,
  rules: { readonly forward: readonly string[]; readonly input: readonly string[] },
  hooks: readonly Hook[],
): string {
  const moves = hooks.flatMap(({ from, to }) => {
    const jump = `-A ${from} -j ${to}`;
    const present = chainOf(saved, from);
    const count = present.filter((line) => line === jump).length;
    if (count === 1 && present[0] === jump) return [];
    return [...Array.from({ length: count }, () => `-D ${from} -j ${to}`), `-I ${from} 1 -j ${to}`];
  });
  return [
    '*filter',
    `:${FORWARD_CHAIN} - [0:0]`,
    `:${INPUT_CHAIN} - [0:0]`,
    ...rules.forward.map((rule) => `-A ${FORWARD_CHAIN} ${rule}`),
    ...rules.input.map((rule) => `-A ${INPUT_CHAIN} ${rule}`),
    ...moves,
    'COMMIT',
    '',
  ].join('\n');
}

/** Whether a table has a chain. */
export const hasChain = (saved: string, chain: string): boolean => saved.split('\n').some((line) => line.startsWith(`:${chain} `));
