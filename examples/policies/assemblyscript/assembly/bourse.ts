// What a pricing policy in AssemblyScript sees of bourse:policy@1.0.0.
//
// A component's values lie in linear memory by simple rules: a record as C lays out a struct, a string as an address
// and a length of UTF-8, an option as a byte before its value. The host puts the request there, and the policy answers
// with the address of a value of its own. The numbers below are the offsets of fields by those rules.
//
// Function names of a component, such as `bourse:policy/pricing@1.0.0#quote`, are no AssemblyScript names. So a policy
// exports `describe`, `quote`, `quote_done` and `cabi_realloc`, and the build gives them their full names.

/** Gives the host room for a request's strings. The runtime hands memory out from front to back. */
export function cabi_realloc(old: usize, had: usize, align: usize, size: usize): usize {
  // Blocks are aligned to 16 bytes, more than any value of the package needs.
  return heap.alloc(size);
}

/**
 * Called after the host has read an answer. An instance serves one call or, where the operator keeps instances warm,
 * one call at a time: everything that this call put on the heap can go.
 */
export function quote_done(answer: usize): void {
  heap.reset();
}

/** Puts UTF-8 into memory, and its address and length where the host expects a string. */
function placeString(at: usize, text: string): void {
  const size = <usize>String.UTF8.byteLength(text);
  const bytes = heap.alloc(size);
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, bytes);
  store<u32>(at, <u32>bytes);
  store<u32>(at, <u32>size, 4);
}

/** The answer of `describe`: four strings. */
export function describeAs(name: string, version: string, summary: string, schema: string): usize {
  const at = heap.alloc(32);
  placeString(at, name);
  placeString(at + 8, version);
  placeString(at + 16, summary);
  placeString(at + 24, schema);
  return at;
}

/** Base units of 10^-18 tokens, 256 bits: eight limbs of 32 bits, the least significant first. */
@unmanaged
export class Amount {
  private constructor() {}

  /** An amount of its own that is 0. */
  private static make(): Amount {
    const at = heap.alloc(32);
    memory.fill(at, 0, 32);
    return changetype<Amount>(at);
  }

  @inline private limb(index: usize): u64 {
    return load<u32>(changetype<usize>(this) + (index << 2));
  }

  @inline private setLimb(index: usize, value: u64): void {
    store<u32>(changetype<usize>(this) + (index << 2), <u32>value);
  }

  /** Appends a decimal digit; false if it does not fit. */
  private append(digit: u64): bool {
    let carry = digit;
    for (let i: usize = 0; i < 8; i++) {
      carry += this.limb(i) * 10;
      this.setLimb(i, carry);
      carry >>= 32;
    }
    return carry == 0;
  }

  /** Reads tokens, such as `35` or `0.5`, with at most 18 digits after the point; null if the text is anything else. */
  static ofTokens(text: string): Amount | null {
    const amount = Amount.make();
    let point = -1;
    for (let i = 0; i < text.length; i++) {
      const char = text.charCodeAt(i);
      if (char == 0x2e && point < 0 && i > 0) {
        point = i;
        continue;
      }
      if (char < 0x30 || char > 0x39 || !amount.append(char - 0x30)) return null;
    }
    let decimals = point < 0 ? 0 : text.length - point - 1;
    if (text.length == 0 || decimals > 18 || (point >= 0 && decimals == 0)) return null;
    for (; decimals < 18; decimals++) {
      if (!amount.append(0)) return null;
    }
    return amount;
  }

  /** `this × factor ÷ divisor`, rounded down; 2^256 − 1 where that does not fit. */
  mulDiv(factor: u32, divisor: u32): Amount {
    const result = Amount.make();
    let over: u64 = 0;
    for (let i: usize = 0; i < 8; i++) {
      over += this.limb(i) * factor;
      result.setLimb(i, over);
      over >>= 32;
    }
    if (over >= divisor) {
      memory.fill(changetype<usize>(result), 0xff, 32);
      return result;
    }
    for (let i: isize = 7; i >= 0; i--) {
      over = (over << 32) | result.limb(i);
      result.setLimb(i, over / divisor);
      over %= divisor;
    }
    return result;
  }

  /** Whether it is less than `other`. */
  isBelow(other: Amount): bool {
    for (let i: isize = 7; i >= 0; i--) {
      if (this.limb(i) != other.limb(i)) return this.limb(i) < other.limb(i);
    }
    return false;
  }
}

/** 16 bytes as two big-endian halves. */
@unmanaged
export class Id {
  hi: u64;
  lo: u64;
}

/** A request of the host, where the host put it: the getters read at their offsets and copy nothing but text. */
@unmanaged
export class Request {
  private constructor() {}

  private get at(): usize {
    return changetype<usize>(this);
  }

  /** The parameters: a JSON object. */
  get params(): string {
    return String.UTF8.decodeUnsafe(load<u32>(this.at, 64), load<u32>(this.at, 68));
  }

  /** The key that is to be priced. */
  get key(): Id {
    return changetype<Id>(this.at + 72);
  }

  /** What its data is about. */
  get api(): Id {
    return changetype<Id>(this.at + 88);
  }

  /** The fixed price, where the rule reprices fixed prices. */
  get base(): Amount | null {
    return load<u8>(this.at, 272) == 0 ? null : changetype<Amount>(this.at + 280);
  }

  /** The least the price can be. */
  get floor(): Amount {
    return changetype<Amount>(this.at + 312);
  }

  /** The most the price can be. */
  get cap(): Amount {
    return changetype<Amount>(this.at + 344);
  }

  /** The longest the price may hold, in milliseconds. */
  get maxValidMs(): u32 {
    return load<u32>(this.at, 376);
  }

  /** `amount`, moved between floor and cap. The host does it again, whatever a policy answers. */
  bound(amount: Amount): Amount {
    if (amount.isBelow(this.floor)) return this.floor;
    return this.cap.isBelow(amount) ? this.cap : amount;
  }
}

/** What a policy answers: a byte that is 0 for a price and 1 for a refusal, and at 8 the one or the other. */
export class Answer {
  /** A price that holds for `validMs` milliseconds. */
  static price(amount: Amount, validMs: u32): usize {
    const at = heap.alloc(48);
    store<u8>(at, 0);
    memory.copy(at + 8, changetype<usize>(amount), 32);
    store<u32>(at, validMs, 40);
    return at;
  }

  /** Why there is no price: a code of a-z, 0-9 and _ for programs, and a sentence for people. */
  static refusal(code: string, text: string): usize {
    const at = heap.alloc(48);
    store<u8>(at, 1);
    placeString(at + 8, code);
    placeString(at + 16, text);
    return at;
  }
}

// The import `market`, which the policy's rule must grant: (whose, two halves and a tail of the id, window, answer).
@external("bourse:policy/market@1.0.0", "demand")
declare function demand(whose: u32, first: u64, second: u64, third: u32, windowMs: u32, answer: usize): void;

/** What happened within a window that ends now. */
@unmanaged
export class MarketFigures {
  /** Sales. */
  sales: u64;

  /** Those of an API, over at most a day. */
  static ofApi(api: Id, windowMs: u32): MarketFigures {
    const at = heap.alloc(104);
    demand(1, api.hi, api.lo, 0, windowMs, at);
    return changetype<MarketFigures>(at);
  }
}

/** Goes through a JSON object of strings and whole numbers, which is what flat parameters are. */
export class Params {
  /** The parameter whose value comes next. */
  name: string = "";
  /** Whether the object was not as it should be. */
  failed: bool = false;
  private at: i32 = 0;
  private started: bool = false;

  constructor(private json: string) {}

  /** Refuses the parameter. */
  fail(): void {
    this.failed = true;
  }

  /** Whether there is a further parameter; take its value before the next call. */
  next(): bool {
    if (this.failed) return false;
    const first = !this.started;
    this.started = true;
    if (first && !this.take(0x7b)) this.fail();
    if (this.take(0x7d)) {
      if (this.peek() != -1) this.fail();
      return false;
    }
    if (!first && !this.take(0x2c)) this.fail();
    this.name = this.takeString();
    if (!this.take(0x3a)) this.fail();
    return !this.failed;
  }

  /** A string without escapes. */
  takeString(): string {
    if (!this.take(0x22)) this.fail();
    const start = this.at;
    while (this.at < this.json.length && this.json.charCodeAt(this.at) != 0x22 && this.json.charCodeAt(this.at) != 0x5c) {
      this.at++;
    }
    const text = this.json.substring(start, this.at);
    if (!this.take(0x22)) this.fail();
    return text;
  }

  /** A whole number of at most 9 digits. */
  takeNumber(): u64 {
    let number: u64 = 0;
    let digits = 0;
    for (let char = this.peek(); char >= 0x30 && char <= 0x39 && digits < 10; digits++) {
      number = number * 10 + (char - 0x30);
      this.at++;
      char = this.at < this.json.length ? this.json.charCodeAt(this.at) : -1;
    }
    if (digits == 0 || digits > 9) this.fail();
    return number;
  }

  /** The next character that is not white; -1 at the end. */
  private peek(): i32 {
    while (this.at < this.json.length) {
      const char = this.json.charCodeAt(this.at);
      if (char != 0x20 && (char < 0x09 || char > 0x0d)) return char;
      this.at++;
    }
    return -1;
  }

  private take(wanted: i32): bool {
    if (this.peek() != wanted) return false;
    this.at++;
    return true;
  }
}
