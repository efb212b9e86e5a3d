import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256, type KeyPair, type RecipientContext } from 'hpke';
import { frameHead } from '../core/sealed/frames.ts';
import { ANSWER_KEY_LABEL, ANSWER_NONCE_LABEL, answerSalt, frameNonce, NONCE_BYTES } from '../core/sealed/key-schedule.ts';
import { ANSWER_LABEL, KEY_BYTES, REQUEST_INFO, TAG_BYTES } from '../core/sealed/protocol.ts';
import type { AnswerSealer, SealedContext, SealedCrypto, SealedReceiver } from '../ports/sealed-crypto.ts';

const utf8 = new TextEncoder();

/** The cryptography of sealed calls: HPKE by its library, what an answer is sealed with by Node. */
export function makeHpkeCrypto(): SealedCrypto {
  const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
  return {
    makeKeyPair: async () => {
      const pair = await suite.GenerateKeyPair(true);
      const [publicKey, privateKey] = await Promise.all([
        suite.SerializePublicKey(pair.publicKey),
        suite.SerializePrivateKey(pair.privateKey),
      ]);
      return { publicKey, privateKey };
    },
    load: async ({ publicKey, privateKey }) => {
      const pair = {
        publicKey: await suite.DeserializePublicKey(publicKey),
        privateKey: await suite.DeserializePrivateKey(privateKey, false),
      };
      return makeReceiver(suite, pair);
    },
  };
}

const makeReceiver = (suite: CipherSuite, pair: KeyPair): SealedReceiver => ({
  receive: async (encapsulatedKey) => {
    try {
      return makeContext(await suite.SetupRecipient(pair, encapsulatedKey, { info: utf8.encode(REQUEST_INFO) }), encapsulatedKey);
    } catch {
      // A point of low order, say. Nothing that a caller may learn follows from which of its rules the library found broken.
      return null;
    }
  },
});

const makeContext = (context: RecipientContext, encapsulatedKey: Uint8Array): SealedContext => ({
  open: async (frame) => {
    try {
      return await context.Open(frame);
    } catch {
      return null;
    }
  },
  answer: async () => {
    const secret = await context.Export(utf8.encode(ANSWER_LABEL), KEY_BYTES);
    return makeAnswerSealer({ secret, encapsulatedKey, nonce: randomBytes(KEY_BYTES) });
  },
});

/** Seals an answer under the keys that follow from the secret of its request and from `nonce`. Source: EHBP specification, section 4.4. */
export function makeAnswerSealer(given: {
  readonly secret: Uint8Array;
  readonly encapsulatedKey: Uint8Array;
  readonly nonce: Uint8Array;
}): AnswerSealer {
  const { secret, encapsulatedKey, nonce } = given;
  const salt = answerSalt(encapsulatedKey, nonce);
  const key = new Uint8Array(hkdfSync('sha256', secret, salt, ANSWER_KEY_LABEL, KEY_BYTES));
  const base = new Uint8Array(hkdfSync('sha256', secret, salt, ANSWER_NONCE_LABEL, NONCE_BYTES));
  let index = 0;
  return {
    nonce: Buffer.from(nonce).toString('hex'),
    seal: (plaintext) => {
      const cipher = createCipheriv('aes-256-gcm', key, frameNonce(base, index), { authTagLength: TAG_BYTES });
      index += 1;
      const body = cipher.update(plaintext);
      cipher.final();
      return Buffer.concat([frameHead(plaintext.length + TAG_BYTES), body, cipher.getAuthTag()]);
    },
  };
}
