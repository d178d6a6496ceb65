// Makes a Go module for WebAssembly a tenth smaller without a change in what it does.
//
// The linker gives each function 64 kB of program counters, and the runtime's table findfunctab has 20 bytes for each 4 kB of
// them: the function's number, and zeros. So each function has 16 equal entries. The linker leaves out zeros, so the table
// becomes 16 data segments for each function. Each takes twelve bytes for a number of two, and V8 reads all of them at the
// start. A start function of 60 bytes writes the same table instead.

/** Ids of sections. https://webassembly.github.io/spec/core/binary/modules.html */
const TYPE = 1, IMPORT = 2, FUNCTION = 3, START = 8, CODE = 10, DATA = 11;

/** The sections that come after START. */
const AFTER_START = [9, 12, CODE, DATA];

/** The table's measure: bytes of an entry, and entries of a function. */
const ENTRY = 20, ENTRIES = 16;
const BLOCK = ENTRY * ENTRIES;

/** Reads a part of a module from its front. */
class Reader {
  at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
  }

  byte() {
    return this.bytes[this.at++];
  }

  /** A number in LEB128, unsigned. */
  number() {
    let value = 0, shift = 0, byte;
    do {
      byte = this.byte();
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte & 0x80);
    return value >>> 0;
  }

  /** @param {number} length */
  take(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  rest() {
    return this.bytes.subarray(this.at);
  }
}

/** Writes a number in LEB128, unsigned. @param {number} value */
function number(value) {
  const bytes = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

/** Writes a number that is not negative in LEB128, signed. @param {number} value */
function signed(value) {
  const bytes = number(value);
  const last = bytes.length - 1;
  return bytes[last] & 0x40 ? [...bytes.slice(0, last), bytes[last] | 0x80, 0] : bytes;
}

/** @param {ArrayLike<number>[]} parts */
const join = (...parts) => Buffer.concat(parts.map((part) => Uint8Array.from(part)));

/** @param {Uint8Array} module */
function sectionsOf(module) {
  const from = new Reader(module);
  const head = from.take(8);
  const sections = [];
  while (from.rest().length > 0) sections.push({ id: from.byte(), content: from.take(from.number()) });
  return { head, sections };
}

/**
 * Returns the data segments, or undefined if one is not of the linker's usual form.
 * @param {Uint8Array} content
 */
function segmentsOf(content) {
  const from = new Reader(content);
  const segments = [];
  for (let left = from.number(); left > 0; left--) {
    const begin = from.at;
    if (from.byte() !== 0 || from.byte() !== 0x41) return undefined; // active, i32.const
    const address = from.number();
    from.byte(); // end
    const data = from.take(from.number());
    segments.push({ address, data, whole: content.subarray(begin, from.at) });
  }
  return segments;
}

/**
 * Finds the table: the longest run of blocks that count up by one.
 * @param {{address: number, data: Uint8Array}[]} segments
 */
function tableIn(segments) {
  const size = segments.reduce((end, { address, data }) => Math.max(end, address + data.length), 0);
  const memory = new Uint8Array(Math.ceil(size / 4) * 4);
  for (const { address, data } of segments) memory.set(data, address);
  const words = new Uint32Array(memory.buffer);
  /** Whether there is the block of a function at a word. @param {number} at @param {number} value */
  const isBlock = (at, value) => {
    for (let i = 0; i < BLOCK / 4; i++) if (words[at + i] !== (i % (ENTRY / 4) === 0 ? value : 0)) return false;
    return true;
  };
  let table = { begin: 0, end: 0, first: 0 };
  for (let at = 0; at < words.length; at++) {
    const first = words[at];
    if (first === 0) continue;
    let value = first, end = at;
    for (; isBlock(end, value); value++) end += BLOCK / 4;
    if (4 * (end - at) > table.end - table.begin) table = { begin: 4 * at, end: 4 * end, first };
    if (end > at) at = end - 1;
  }
  return table;
}

/**
 * Returns the module with a start function in place of the table's data, or undefined if it has no such table.
 * @param {Uint8Array} module as Go's linker made it
 */
export function shorten(module) {
  const { head, sections } = sectionsOf(module);
  /** @param {number} id */
  const section = (id) => new Reader(sections.find((s) => s.id === id)?.content ?? Uint8Array.of(0));

  const segments = segmentsOf(section(DATA).bytes);
  if (!segments || section(START).number() > 0) return undefined;
  const table = tableIn(segments);
  const kept = segments.filter(({ address, data }) => address < table.begin || address + data.length > table.end);
  if (segments.length - kept.length < 1000) return undefined;

  const types = section(TYPE);
  let type = -1; // of a function that takes nothing and returns nothing
  for (let count = types.number(), i = 0; i < count; i++) {
    types.byte();
    const [takes, returns] = [types.take(types.number()), types.take(types.number())];
    if (takes.length + returns.length === 0) type = i;
  }
  const imports = section(IMPORT);
  const imported = imports.number(); // Go imports nothing but functions, whose numbers come first
  const functions = section(FUNCTION);
  const own = functions.number();
  const code = section(CODE);
  code.number();
  const data = join(number(kept.length), ...kept.map(({ whole }) => whole));

  const address = [0x20, 0]; // local.get 0
  /** i32.const @param {number} value */
  const constant = (value) => [0x41, ...signed(value)];
  const body = [
    1, 1, 0x7f, // one local, an i32: an entry's address
    ...constant(table.begin), 0x21, 0, // local.set 0
    0x03, 0x40, // loop
    ...address,
    ...address, ...constant(table.begin), 0x6b, ...constant(BLOCK), 0x6e, ...constant(table.first), 0x6a, // (address − begin) / BLOCK + first
    0x36, 2, 0, // i32.store
    ...address, ...constant(ENTRY), 0x6a, 0x22, 0, // address += ENTRY
    ...constant(table.end), 0x49, 0x0d, 0, // repeat while it is below the end
    0x0b, 0x0b,
  ];

  /** @type {[number, Buffer][]} */
  const changed = sections.map(({ id, content }) => {
    if (id === FUNCTION) content = join(number(own + 1), functions.rest(), number(type));
    if (id === CODE) content = join(number(own + 1), code.rest(), number(body.length), body);
    if (id === DATA) content = data;
    return [id, Buffer.from(content)];
  });
  const place = changed.findIndex(([id]) => AFTER_START.includes(id));
  changed.splice(place, 0, [START, join(number(imported + own))]);
  return Buffer.concat([head, ...changed.flatMap(([id, content]) => [join([id], number(content.length)), content])]);
}
