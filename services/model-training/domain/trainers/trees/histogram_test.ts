import { assertAlmostEquals } from "@std/assert";
import { gradientOf, gridOf, hessianOf, pack } from "./histogram.ts";

Deno.test("pack() rounds the derivatives of many rows to neither side, however coarse the grid", () => {
  const rows = 100_000;
  const shares = [0.001, 0.06, 0.11, 0.97];
  const gradients = Float32Array.from(
    { length: rows },
    (_, row) => shares[row % 4]! * (row % 8 < 4 ? 1 : -1),
  );
  const hessians = Float32Array.from(gradients, (gradient) => Math.abs(gradient) * 0.9);
  const fine = gridOf({
    gradients: gradients.reduce((sum, value) => sum + Math.abs(value), 0),
    hessians: hessians.reduce((sum, value) => sum + value, 0),
    rows,
  });
  // As coarse as for sixteen million rows.
  const grid = { gradient: fine.gradient / 160, hessian: fine.hessian / 160 };
  const packed = new Float64Array(rows);
  pack(packed, { gradients, hessians, offset: 0 }, { from: 0, to: rows, grid, round: 3 });
  for (const kind of [1, 2, 3]) {
    for (const sign of [0, 4]) {
      let [gradient, hessian, exactGradient, exactHessian] = [0, 0, 0, 0];
      for (let row = kind + sign; row < rows; row += 8) {
        gradient += gradientOf(packed[row]!) / grid.gradient;
        hessian += hessianOf(packed[row]!) / grid.hessian;
        exactGradient += gradients[row]!;
        exactHessian += hessians[row]!;
      }
      assertAlmostEquals(gradient / exactGradient, 1, 0.02);
      // Less than a step is counted as one.
      if (shares[kind]! * 0.9 * grid.hessian > 1) assertAlmostEquals(hessian / exactHessian, 1, 0.02);
    }
  }
});
