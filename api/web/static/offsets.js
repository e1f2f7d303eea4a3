// Quoth counts characters (Unicode code points); strings of a browser count UTF-16 units. The two meet here only.

/** The number of UTF-16 units of the first `characters` characters of `text`; of all of it, if it has fewer. */
export function unitsOf(text, characters) {
  let units = 0;
  for (let left = characters; left > 0 && units < text.length; left -= 1) {
    units += text.codePointAt(units) > 0xffff ? 2 : 1;
  }
  return units;
}

/** The number of characters of `text`. */
export function charactersOf(text) {
  let characters = 0;
  for (let units = 0; units < text.length; characters += 1) {
    units += text.codePointAt(units) > 0xffff ? 2 : 1;
  }
  return characters;
}

/** The span [start, end) of an address's "#START-END", or null. */
export function spanOf(hash) {
  const found = /^#(\d{1,12})-(\d{1,12})$/.exec(hash);
  if (!found || Number(found[1]) >= Number(found[2])) return null;
  return { start: Number(found[1]), end: Number(found[2]) };
}
