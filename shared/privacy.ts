/**
 * What is kept of secrets: a keyed hash, so that equal values stay equal and nobody without the key can try values
 * out, or the value encrypted, where it has to come back.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { invalid, messageOf } from "./errors.ts";

export interface Privacy {
  /** `hmac:` and 43 characters: HMAC-SHA-256 of the value's text, in base64url. */
  hash(value: string | number | boolean): string;
  /** `sealed:` and base64url: AES-256-GCM under a random nonce, so that equal bytes are sealed differently. */
  seal(bytes: Uint8Array): string;
  /** @throws {AppError} `invalid` when it was sealed with another key, or is not sealed at all */
  open(sealed: string): Uint8Array;
}

const SEALED = "sealed:";
const HASHED = /^hmac:[A-Za-z0-9_-]{43}$/;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The shortest text that is taken as a key. */
export const MIN_KEY_LENGTH = 32;

/** Whether the value is what {@link Privacy.hash} gives. */
export function isHashed(value: unknown): value is string {
  return typeof value === "string" && HASHED.test(value);
}

/** @param key any text of at least {@link MIN_KEY_LENGTH} characters; hashing and sealing get keys of their own from it */
export function createPrivacy(key: string): Privacy {
  if (key.length < MIN_KEY_LENGTH) {
    throw invalid(`Cannot use SECRETS_KEY: it has ${key.length} characters, and must have ${MIN_KEY_LENGTH}`);
  }
  // HKDF (RFC 5869): one setting, two keys that tell nothing of each other.
  const derive = (purpose: string) => Buffer.from(hkdfSync("sha256", key, "", `microml/${purpose}`, 32));
  const hashKey = derive("hash");
  const sealKey = derive("seal");
  return {
    hash: (value) => `hmac:${createHmac("sha256", hashKey).update(String(value)).digest("base64url")}`,
    seal(bytes) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", sealKey, nonce);
      const body = Buffer.concat([cipher.update(bytes), cipher.final()]);
      return SEALED + Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64url");
    },
    open(sealed) {
      const bytes = Buffer.from(sealed.slice(SEALED.length), "base64url");
      if (!sealed.startsWith(SEALED) || bytes.length < NONCE_BYTES + TAG_BYTES) {
        throw invalid("Cannot open what is sealed: it is not sealed");
      }
      const decipher = createDecipheriv("aes-256-gcm", sealKey, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
      } catch (error) {
        throw invalid(`Cannot open what is sealed: it was sealed with another key (${messageOf(error)})`);
      }
    },
  };
}
