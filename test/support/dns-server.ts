import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { decode, encode, type Answer, type Packet } from 'dns-packet';

/** How a server answers: as it should, not at all, that it failed or will not, to a question that nobody asked, or with bytes that mean nothing. */
export type DnsMood = 'honest' | 'silent' | 'failing' | 'refusing' | 'lying' | 'garbled';

/** A DNS server on loopback that knows what it is told. */
export interface TestDns {
  /** As a resolver is told of it. */
  readonly server: string;
  mood: DnsMood;
  /** How many questions it was asked. */
  asked: number;
  /** The texts of a name: each one string, or the strings of which it is made. */
  readonly texts: Map<string, readonly (string | readonly string[])[]>;
  readonly aliases: Map<string, string>;
  stop(): Promise<void>;
}

const RCODES: Readonly<Partial<Record<DnsMood, number>>> = { failing: 2, refusing: 5 };
const NXDOMAIN = 3;
const AUTHORITATIVE = 1024;

/** Starts a {@link TestDns}. */
export async function startTestDns(): Promise<TestDns> {
  const socket = createSocket('udp4');
  const answersOf = (name: string, type: string): Answer[] => {
    const key = name.toLowerCase();
    if (type === 'TXT') {
      return (dns.texts.get(key) ?? []).map((text): Answer => ({
        type: 'TXT',
        name,
        ttl: 1,
        data: typeof text === 'string' ? text : [...text],
      }));
    }
    const alias = dns.aliases.get(key);
    return alias === undefined ? [] : [{ type: 'CNAME', name, ttl: 1, data: alias }];
  };
  socket.on('message', (bytes, from) => {
    dns.asked += 1;
    const { id = 0, questions = [] } = decode(bytes);
    const [question] = questions;
    if (question === undefined || dns.mood === 'silent') return;
    const reply = (answers: Answer[], code: number, as = id): void => {
      // The code of the answer is the lowest part of the flags.
      const packet: Packet = { type: 'response', id: as, flags: AUTHORITATIVE | code, questions, answers };
      socket.send(encode(packet), from.port, from.address);
    };
    if (dns.mood === 'garbled')
      return socket.send(Buffer.concat([bytes.subarray(0, 2), Buffer.from('ffffffff', 'hex')]), from.port, from.address);
    const code = RCODES[dns.mood];
    if (code !== undefined) return reply([], code);
    const answers = answersOf(question.name, question.type);
    if (dns.mood === 'lying') return reply(answers, 0, id ^ 1);
    const isKnown = answers.length > 0 || dns.texts.has(question.name.toLowerCase()) || dns.aliases.has(question.name.toLowerCase());
    reply(answers, isKnown ? 0 : NXDOMAIN);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const dns: TestDns = {
    server: `127.0.0.1:${socket.address().port}`,
    mood: 'honest',
    asked: 0,
    texts: new Map(),
    aliases: new Map(),
    stop: () => new Promise((resolve) => void socket.close(() => resolve())),
  };
  return dns;
}
