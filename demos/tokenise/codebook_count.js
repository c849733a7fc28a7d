// Counting codes, as pipelines/tokenise/codebook.py does: usage() there and here give the same numbers.

/** How often each code occurs among these indices: {counts, tokens, used, perplexity}. */
function usage(indices, codes) {
  const counts = new Float64Array(codes);
  for (const index of indices) counts[index]++;
  return counted(counts);
}
/** The same of counts that are known. The perplexity is exp(-sum p ln p) over the codes' shares p. */
function counted(counts) {
  let tokens = 0, used = 0, entropy = 0;
  for (const n of counts) tokens += n;
  for (const n of counts) {
    if (!n) continue;
    used++;
    entropy -= (n / tokens) * Math.log(n / tokens);
  }
  return { counts, tokens, used, perplexity: Math.exp(entropy) };
}
/** Some of the tokens, spread evenly over the grid's places in an order that looks random, always the same one. */
function sample(indices, share) {
  const count = Math.max(1, Math.round(indices.length * share)), order = Uint32Array.from(indices, (_, i) => i);
  for (let i = 0, state = 1; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator
    const j = i + (state % (order.length - i));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return Array.from(order.subarray(0, count), (place) => indices[place]);
}
