// The decoder's logits at the picture's size, as Sam.postprocess_masks makes them: bilinear to the model's square, cut
// to the part that holds the picture, bilinear to the picture. Each step works along one axis at a time, so that a
// place along an axis needs at most four cells with their weights, worked out once.

/** Where place `i` of `many` lies among the cells of `few`: two cells and the weight of the second, as PyTorch counts. */
function cellsAround(i, many, few) {
  const at = Math.max(((i + 0.5) * few) / many - 0.5, 0), first = Math.min(Math.floor(at), few - 1);
  return [first, Math.min(first + 1, few - 1), at - first];
}

/** Four cells and four weights for each of `out` places: cells of `side` that reach `square` px, `input` of them used. */
function taps({ cells, side, square, input, out }) {
  const index = new Int32Array(4 * out), weight = new Float32Array(4 * out);
  for (let i = 0; i < out; i++) {
    const [near, far, share] = cellsAround(i, out, input);
    [[near, 1 - share], [far, share]].forEach(([pixel, part], pair) => {
      const [first, second, along] = cellsAround(pixel, square, side), k = 4 * i + 2 * pair;
      index[k] = Math.min(first, cells - 1);
      index[k + 1] = Math.min(second, cells - 1);
      weight[k] = part * (1 - along);
      weight[k + 1] = part * along;
    });
  }
  return { index, weight };
}

/**
 * (h * w) floats: logits of (rows, columns) cells, the upper left part of the (side, side) that the decoder gives.
 * place: {rows, columns, side, square: px of the model's input, input: [h, w] of the picture in it, size: [h, w]}.
 */
function enlarge(logits, { rows, columns, side, square, input, size: [height, width] }) {
  const down = taps({ cells: rows, side, square, input: input[0], out: height });
  const across = taps({ cells: columns, side, square, input: input[1], out: width });
  const wide = new Float32Array(rows * width), field = new Float32Array(height * width);
  for (let y = 0; y < rows; y++) {
    for (let x = 0, k = 0; x < width; x++, k += 4) {
      const from = y * columns, { index: i, weight: w } = across;
      wide[y * width + x] = logits[from + i[k]] * w[k] + logits[from + i[k + 1]] * w[k + 1] +
        logits[from + i[k + 2]] * w[k + 2] + logits[from + i[k + 3]] * w[k + 3];
    }
  }
  for (let y = 0, k = 0; y < height; y++, k += 4) {
    const [a, b, c, d] = [0, 1, 2, 3].map((n) => down.index[k + n] * width), [p, q, r, s] = down.weight.subarray(k, k + 4);
    for (let x = 0; x < width; x++) {
      field[y * width + x] = wide[a + x] * p + wide[b + x] * q + wide[c + x] * r + wide[d + x] * s;
    }
  }
  return field;
}
