// Separation in a graph, as graph/separation.py finds it and says it: which of two variables knows of the other.

/** Compares texts by their characters' numbers, as sorting does elsewhere; that of JavaScript is by halves of them. */
function byCharacters(a, b) {
  const [x, y] = [[...a], [...b]];
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i].codePointAt(0) - y[i].codePointAt(0);
  return x.length - y.length;
}

/** A shortest path of keys from any of `start` to an end, breadth first; empty where there is none. */
function shortestPath(start, steps, atEnd) {
  const came = new Map(start.map((key) => [key, null]));
  for (const key of came.keys()) {
    if (atEnd(key)) {
      const path = [key];
      while (came.get(path[0]) !== null) path.unshift(came.get(path[0]));
      return path;
    }
    for (const next of steps(key)) if (!came.has(next)) came.set(next, key);
  }
  return [];
}

function reachedFrom(start, steps) {
  const found = new Set(start);
  for (const v of found) for (const next of steps(v)) found.add(next);
  return found;
}

const differenceOf = (a, b) => [...a].filter((v) => !b.has(v));

function listedInWords(names, most = 5) {
  const shown = names.length <= most ? names : [...names.slice(0, most - 1), `${names.length - most + 1} more`];
  return [shown.slice(0, -1).join(", "), ...shown.slice(-1)].filter((part) => part !== "").join(" and ");
}

/** Who touches whom in a description: parents, children, neighbours by links, all of them in the order of names. */
function graphOf({ variables, links }) {
  const names = variables.map(({ name }) => name);
  const parents = variables.map((own) => own.parents);
  const children = names.map(() => []);
  const linked = names.map(() => new Set());
  parents.forEach((own, v) => own.forEach((u) => children[u].push(v)));
  for (const link of links) for (const a of link) for (const b of link) if (a !== b) linked[a].add(b);
  const sorted = (found) => [...found].sort((a, b) => byCharacters(names[a], names[b]));
  const skeleton = names.map((_, v) => sorted(new Set([...parents[v], ...children[v], ...linked[v]])));
  return { names, parents, children, linked, skeleton, directed: links.every((link) => link.length < 2) };
}

/** Who is with whom in a table, of what some variables hang on. */
function moralGraph(graph, kept) {
  const moral = graph.names.map(() => new Set());
  for (const v of kept) {
    const family = [v, ...graph.parents[v]];
    for (const a of family) for (const b of family) if (a !== b) moral[a].add(b);
    for (const u of graph.linked[v]) moral[v].add(u);
  }
  return moral;
}

/** The part of what is given that b reaches around that part which a reaches: none of it can be spared. */
function minimalCut(moral, a, b, given) {
  let cut = new Set(given);
  for (const side of [a, b]) {
    const reached = reachedFrom([side], (v) => differenceOf(moral[v], cut));
    cut = new Set([...cut].filter((v) => [...moral[v]].some((u) => reached.has(u))));
  }
  return cut;
}

/** A shortest open path: the ball of Bayes over (variable, entered from a child), or around what is given. */
function openPath(graph, a, b, given, opened) {
  if (!graph.directed)
    return shortestPath([a], (v) => differenceOf(graph.skeleton[v], given), (v) => v === b); // prettier-ignore
  const key = (v, fromChild) => 2 * v + fromChild;
  const steps = (state) => {
    const [v, fromChild] = [state >> 1, state & 1];
    const down = given.has(v) ? [] : graph.children[v].map((u) => key(u, 0));
    const up = (fromChild ? !given.has(v) : opened.has(v)) ? graph.parents[v].map((u) => key(u, 1)) : [];
    return [...down, ...up];
  };
  return shortestPath([key(a, 1)], steps, (state) => state >> 1 === b).map((state) => state >> 1);
}

/** The colliders of a path in a directed graph. */
function collidersOf(graph, path) {
  const into = (u, v) => graph.parents[v].includes(u);
  return path.slice(1, -1).filter((v, i) => into(path[i], v) && into(path[i + 2], v));
}

function pathInWords({ names, parents }, path) {
  const edge = (u, v) => (parents[v].includes(u) ? "→" : parents[u].includes(v) ? "←" : "–");
  return names[path[0]] + path.slice(1).map((v, i) => ` ${edge(path[i], v)} ${names[v]}`).join(""); // prettier-ignore
}

function whyOpen(graph, path, given) {
  const drawn = pathInWords(graph, path);
  const told = collidersOf(graph, path).map((v) => {
    const seen = shortestPath([v], (u) => graph.children[u], (u) => given.has(u)).at(-1); // prettier-ignore
    return seen === v ? `${graph.names[v]} is observed` : `${graph.names[seen]}, a descendant of ${graph.names[v]}, is observed`;
  });
  if (told.length) return `${drawn} is open because ${told.join(" and ")} (explaining away)`;
  return `${drawn} is open: nothing on it is observed`;
}

/** Why all paths are closed: what cuts them, and what closes one that it does not cut. */
function whyClosed(graph, ends, cut, closed, opened) {
  const cutters = listedInWords(cut.map((v) => graph.names[v]));
  const between = `every path between ${ends}`;
  const blocks = `${cutters} ${cut.length === 1 ? "blocks" : "block"} ${between}`;
  if (!closed.length) return cut.length ? blocks : `no path joins ${ends}`;
  const at = graph.names[collidersOf(graph, closed).find((v) => !opened.has(v))];
  const drawn = pathInWords(graph, closed);
  if (!cut.length) return `${between} is closed at an unobserved collider: ${drawn} at ${at}`;
  return `${blocks} not closed at an unobserved collider, as ${drawn} is at ${at}`;
}

/** The verb of a page: {a, b, given} to {separated, path, closed, reason}. */
export function separationIn(description) {
  const graph = graphOf(description);
  const ancestors = (start) => reachedFrom(start, (v) => [...graph.parents[v], ...graph.linked[v]]);
  return ({ a, b, given: known = [] }) => {
    if ([a, b, ...known].some((v) => graph.names[v] === undefined)) throw new RangeError("no such variable");
    const twice = [a, b].find((v) => a === b || known.includes(v));
    if (twice !== undefined)
      throw new RangeError(`variable '${graph.names[twice]}' is named twice; the sides and what is given must differ`);
    const given = new Set(known);
    const opened = ancestors(given);
    const path = openPath(graph, a, b, given, opened);
    if (path.length) return { separated: false, path, closed: [], reason: whyOpen(graph, path, given) };
    const cut = minimalCut(moralGraph(graph, ancestors([a, b, ...known])), a, b, given);
    const closed = shortestPath([a], (v) => differenceOf(graph.skeleton[v], cut), (v) => v === b); // prettier-ignore
    const ends = `${graph.names[a]} and ${graph.names[b]}`;
    const ordered = graph.names.map((_, v) => v).filter((v) => cut.has(v));
    return { separated: true, path: [], closed, reason: whyClosed(graph, ends, ordered, closed, opened) };
  };
}
