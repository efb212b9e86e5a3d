import { describe, expect, test } from 'vitest';
import { frameHead, FrameSplitter, type SplitFrames } from './frames.ts';

const frame = (length: number, fill = 1): number[] => [...frameHead(length), ...new Uint8Array(length).fill(fill)];
const splitter = (): FrameSplitter => new FrameSplitter({ maxFrameBytes: 40 });
const framesOf = (split: SplitFrames): number[][] => (split.ok ? split.frames.map((each) => [...each]) : []);

describe('splitting a body into its frames', () => {
  test('however the body comes in pieces, the frames are the same and in order', () => {
    const body = Uint8Array.from([...frame(16, 1), ...frame(40, 2), ...frame(17, 3)]);
    for (let size = 1; size <= body.length; size++) {
      const split = splitter();
      const found: number[][] = [];
      for (let at = 0; at < body.length; at += size) found.push(...framesOf(split.push(body.subarray(at, at + size))));
      expect(found).toEqual([frame(16, 1).slice(4), frame(40, 2).slice(4), frame(17, 3).slice(4)]);
      expect(split.isBetweenFrames).toBe(true);
    }
  });

  test('frames of length zero say nothing, wherever they stand', () => {
    const split = splitter();
    expect(framesOf(split.push(Uint8Array.from([0, 0, 0, 0, ...frame(16), 0, 0, 0, 0, 0, 0, 0, 0])))).toEqual([frame(16).slice(4)]);
    expect(split.isBetweenFrames).toBe(true);
  });

  test('the longest frame is taken; one byte more is too long as soon as its length is there', () => {
    expect(framesOf(splitter().push(Uint8Array.from(frame(40))))).toHaveLength(1);
    expect(splitter().push(frameHead(41))).toEqual({ ok: false, defect: 'too_long' });
    expect(splitter().push(Uint8Array.of(255, 255, 255, 255))).toEqual({ ok: false, defect: 'too_long' });
  });

  test('what is shorter than the tag of a ciphertext is none', () => {
    expect(splitter().push(frameHead(15))).toEqual({ ok: false, defect: 'too_short' });
    expect(splitter().push(frameHead(1))).toEqual({ ok: false, defect: 'too_short' });
  });

  test('within a length and within a frame the body may not end, and how long the frame is shows', () => {
    const split = splitter();
    expect(split.isBetweenFrames).toBe(true);
    split.push(frameHead(20).subarray(0, 3));
    expect([split.isBetweenFrames, split.comingBytes]).toEqual([false, null]);
    split.push(frameHead(20).subarray(3));
    expect([split.isBetweenFrames, split.comingBytes]).toEqual([false, 20]);
    split.push(new Uint8Array(19));
    expect([split.isBetweenFrames, split.comingBytes]).toEqual([false, 20]);
    split.push(new Uint8Array(1));
    expect([split.isBetweenFrames, split.comingBytes]).toEqual([true, null]);
  });
});
