import { tooLarge } from "shared/errors.ts";
import { BodyPacker, MAX_MESSAGE_BYTES } from "./body_packer.ts";

/** The body of a message with records of an array. */
export interface ArrayChunk {
  data: Uint8Array;
  records: number;
}

const encoder = new TextEncoder();

/**
 * Divides an array that is larger than a message.
 *
 * @throws {AppError} `too_large`, before anything is given, when a record does not fit into a message
 */
export function chunkArray(values: readonly unknown[]): ArrayChunk[] {
  const packer = new BodyPacker("[", "]");
  const chunks: ArrayChunk[] = [];
  const close = () => chunks.push({ records: packer.records, data: packer.close() });
  for (const [index, value] of values.entries()) {
    const bytes = encoder.encode(JSON.stringify(value));
    if (bytes.length > MAX_MESSAGE_BYTES) {
      throw tooLarge(
        `Cannot take events: record ${index} has ${bytes.length} bytes, and may have ${MAX_MESSAGE_BYTES}`,
      );
    }
    if (!packer.hasRoom(bytes.length)) close();
    packer.add(bytes);
  }
  if (packer.records > 0) close();
  return chunks;
}
