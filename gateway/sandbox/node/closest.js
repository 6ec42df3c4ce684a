"use strict";
// Names that look like one that is not there.

const LONGEST = 100;

function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const changed = row[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[other.length];
}

// At most three of `known`, the closest first; none that differs in half its letters.
function closest(name, known) {
  const wanted = name.slice(0, LONGEST).toLowerCase();
  return known
    .map((one) => [distance(wanted, one.slice(0, LONGEST).toLowerCase()) / Math.max(wanted.length, one.length), one])
    .filter(([far]) => far < 0.5)
    .sort(([one, a], [other, b]) => one - other || (a < b ? -1 : 1))
    .slice(0, 3)
    .map(([, one]) => one);
}

module.exports = { closest };
